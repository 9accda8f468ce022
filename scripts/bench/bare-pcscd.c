/* The least that a program can do: APDUs to pcscd in a loop. bare-pcscd READER COUNT prints the median of one in nanoseconds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <winscard.h>

static int by_size(const void *a, const void *b) {
  long x = *(const long *)a, y = *(const long *)b;
  return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
  SCARDCONTEXT context;
  SCARDHANDLE card;
  DWORD protocol;
  long count = argc == 3 ? atol(argv[2]) : 0;
  if (count < 1 || count > 100000) return 2;
  long *taken = malloc(sizeof(long) * count);
  if (!taken || SCardEstablishContext(SCARD_SCOPE_SYSTEM, NULL, NULL, &context)) return 1;
  if (SCardConnect(context, argv[1], SCARD_SHARE_EXCLUSIVE, SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1, &card, &protocol))
    return 1;
  const SCARD_IO_REQUEST *pci = protocol == SCARD_PROTOCOL_T1 ? SCARD_PCI_T1 : SCARD_PCI_T0;
  for (long n = 0; n < count; n++) {
    const unsigned char command[] = {0x00, 0xb2, (unsigned char)n, 0x0c, 0x00};
    unsigned char response[258];
    DWORD length = sizeof response;
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (SCardTransmit(card, pci, command, sizeof command, NULL, response, &length) || length != 4) return 1;
    clock_gettime(CLOCK_MONOTONIC, &end);
    taken[n] = (end.tv_sec - begin.tv_sec) * 1000000000L + end.tv_nsec - begin.tv_nsec;
  }
  qsort(taken, count, sizeof(long), by_size);
  printf("%ld\n", taken[count / 2]);
  SCardDisconnect(card, SCARD_LEAVE_CARD);
  SCardReleaseContext(context);
  return 0;
}
