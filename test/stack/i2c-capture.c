/* Preloaded into a process, answers /dev/i2c-N in the kernel's place and logs what would be on the wire (linux/i2c-dev.h).
 *
 * The folder I2C_CAPTURE holds:
 *   log       appended to, one record a transfer: kind ('W' written, 'R' read), bus, address, failed (0 or 1),
 *             length (32 bits, this machine's order), bytes
 *   at-ADDR   a device acknowledges at that address (two hex digits); its content are its registers, read by SMBus
 *   gone      while there, no bus is: open fails with ENOENT, what is open with ENODEV
 *   owned     while there, a driver of the kernel has every address: EBUSY
 *   noise     as many bytes long as transfers are not acknowledged from now on; each takes one off
 *   slow      while there, a transfer takes its time at 400 kHz
 *   smbus     while there, the adapter does SMBus transfers only
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MOST 1024
/* Bus (bus 0 is stored as 1), address and inode of each file of ours. */
static struct { int bus, address; ino_t inode; } files[MOST];
static pthread_mutex_t wire = PTHREAD_MUTEX_INITIALIZER;

static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static int (*real_ioctl)(int, unsigned long, ...);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_read)(int, void *, size_t);
static ssize_t (*real_pread)(int, void *, size_t, off_t);

__attribute__((constructor)) static void find_real(void) {
  real_open = dlsym(RTLD_NEXT, "open");
  real_close = dlsym(RTLD_NEXT, "close");
  real_ioctl = dlsym(RTLD_NEXT, "ioctl");
  real_write = dlsym(RTLD_NEXT, "write");
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  real_read = dlsym(RTLD_NEXT, "read");
  real_pread = dlsym(RTLD_NEXT, "pread64");
}

static const char *control(char *path, size_t size, const char *name) {
  snprintf(path, size, "%s/%s", getenv("I2C_CAPTURE"), name);
  return path;
}
static int is_there(const char *name) {
  char path[512];
  return access(control(path, sizeof path, name), F_OK) == 0;
}
/* libuv closes files by the bare system call: the number may be another file's by now. */
static int ours(int fd) {
  struct stat now;
  if (fd < 0 || fd >= MOST || files[fd].bus == 0) return 0;
  if (fstat(fd, &now) == 0 && now.st_ino == files[fd].inode) return 1;
  files[fd].bus = 0;
  return 0;
}
static int fail(int number) {
  errno = number;
  return -1;
}

/* 0 where the device acknowledges, else the error number. */
static int acknowledge(int fd) {
  char path[512], name[16];
  struct stat noise;
  if (is_there("gone")) return ENODEV;
  if (stat(control(path, sizeof path, "noise"), &noise) == 0 && noise.st_size > 0) {
    if (truncate(path, noise.st_size - 1) != 0) return EIO;
    return EREMOTEIO;
  }
  snprintf(name, sizeof name, "at-%02x", files[fd].address);
  return is_there(name) ? 0 : EREMOTEIO;
}

static void record(int fd, char kind, int failed, const void *bytes, size_t length) {
  char path[512];
  unsigned char *out = malloc(8 + length);
  unsigned int count = length;
  out[0] = kind;
  out[1] = files[fd].bus - 1;
  out[2] = files[fd].address;
  out[3] = failed;
  memcpy(out + 4, &count, 4);
  if (length > 0) memcpy(out + 8, bytes, length);
  int log = real_open(control(path, sizeof path, "log"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (log < 0 || real_write(log, out, 8 + length) != (ssize_t)(8 + length)) abort();
  real_close(log);
  free(out);
  if (is_there("slow")) {
    long ns = (long)(length + 1) * 9 * 2500;
    struct timespec time = {ns / 1000000000L, ns % 1000000000L};
    nanosleep(&time, NULL);
  }
}

static ssize_t transfer(int fd, char kind, void *bytes, size_t length) {
  pthread_mutex_lock(&wire);
  int error = is_there("smbus") ? EOPNOTSUPP : acknowledge(fd);
  if (kind == 'R' && error == 0) memset(bytes, 0xff, length);
  record(fd, kind, error != 0, bytes, length);
  pthread_mutex_unlock(&wire);
  return error != 0 ? fail(error) : (ssize_t)length;
}

static int smbus(int fd, struct i2c_smbus_ioctl_data *request) {
  unsigned char bytes[I2C_SMBUS_BLOCK_MAX + 2] = {request->command};
  unsigned char registers[256] = {0};
  char path[512], name[16];
  size_t length = 0;
  union i2c_smbus_data *data = request->data;
  switch (request->size) {
  case I2C_SMBUS_QUICK: break;
  case I2C_SMBUS_BYTE: length = request->read_write == I2C_SMBUS_READ ? 1 : 0; break;
  case I2C_SMBUS_BYTE_DATA: length = 1; break;
  case I2C_SMBUS_WORD_DATA: length = 2; break;
  case I2C_SMBUS_I2C_BLOCK_BROKEN:
  case I2C_SMBUS_I2C_BLOCK_DATA: length = data->block[0]; break;
  default: return fail(EOPNOTSUPP);
  }
  if (length > I2C_SMBUS_BLOCK_MAX) return fail(EINVAL);
  int block = request->size == I2C_SMBUS_I2C_BLOCK_BROKEN || request->size == I2C_SMBUS_I2C_BLOCK_DATA;
  pthread_mutex_lock(&wire);
  int error = acknowledge(fd);
  if (request->read_write == I2C_SMBUS_READ) {
    snprintf(name, sizeof name, "at-%02x", files[fd].address);
    int at = real_open(control(path, sizeof path, name), O_RDONLY | O_CLOEXEC);
    if (at >= 0) {
      if (real_read(at, registers, sizeof registers) < 0) error = EIO;
      real_close(at);
    }
    unsigned char first = request->size == I2C_SMBUS_BYTE ? 0 : request->command;
    for (size_t n = 0; n < length; n++) bytes[n] = registers[(first + n) & 255];
    if (error == 0 && length > 0) memcpy(block ? data->block + 1 : (unsigned char *)data, bytes, length);
    record(fd, 'R', error != 0, bytes, length);
  } else {
    if (length > 0) memcpy(bytes + 1, block ? data->block + 1 : (unsigned char *)data, length);
    record(fd, 'W', error != 0, bytes, request->size == I2C_SMBUS_QUICK ? 0 : length + 1);
  }
  pthread_mutex_unlock(&wire);
  return error != 0 ? fail(error) : 0;
}

static int open_bus(const char *path) {
  int bus;
  char rest;
  if (getenv("I2C_CAPTURE") == NULL || sscanf(path, "/dev/i2c-%d%c", &bus, &rest) != 1) return -2;
  if (bus != 1 || is_there("gone")) return fail(ENOENT);
  char own[512];
  struct stat stand_in;
  int fd = real_open(control(own, sizeof own, "open"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return -1;
  if (fd >= MOST || fstat(fd, &stand_in) != 0) {
    real_close(fd);
    return fail(EMFILE);
  }
  files[fd].bus = bus + 1;
  files[fd].address = 0;
  files[fd].inode = stand_in.st_ino;
  return fd;
}

int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  int mode = va_arg(rest, int);
  va_end(rest);
  int fd = open_bus(path);
  return fd == -2 ? real_open(path, flags, mode) : fd;
}
int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int ioctl(int fd, unsigned long request, ...) {
  va_list rest;
  va_start(rest, request);
  void *argument = va_arg(rest, void *);
  va_end(rest);
  if (!ours(fd)) return real_ioctl(fd, request, argument);
  if (is_there("gone")) return fail(ENODEV);
  switch (request) {
  case I2C_SLAVE:
    if (is_there("owned")) return fail(EBUSY);
    files[fd].address = (int)(long)argument;
    return 0;
  case I2C_FUNCS:
    *(unsigned long *)argument = I2C_FUNC_SMBUS_EMUL | (is_there("smbus") ? 0 : I2C_FUNC_I2C);
    return 0;
  case I2C_SMBUS:
    return smbus(fd, argument);
  default:
    return fail(ENOTTY);
  }
}

ssize_t write(int fd, const void *bytes, size_t length) {
  return ours(fd) ? transfer(fd, 'W', (void *)bytes, length) : real_write(fd, bytes, length);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) {
  return ours(fd) ? transfer(fd, 'W', (void *)bytes, length) : real_pwrite(fd, bytes, length, at);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) __attribute__((alias("pwrite64")));
ssize_t read(int fd, void *bytes, size_t length) {
  return ours(fd) ? transfer(fd, 'R', bytes, length) : real_read(fd, bytes, length);
}
ssize_t pread64(int fd, void *bytes, size_t length, off_t at) {
  return ours(fd) ? transfer(fd, 'R', bytes, length) : real_pread(fd, bytes, length, at);
}
ssize_t pread(int fd, void *bytes, size_t length, off_t at) __attribute__((alias("pread64")));
