// Switches of a keypad between lines of gpio-sim, which joins no lines itself: while a key is down, a column is pulled low
// exactly while a row that leads to it is driven low. Reads `ROW COLUMN 0|1` lines; arguments: the chip's label, the
// offsets of its rows with commas between, the sysfs folders of the columns. Which rows are driven, debugfs tells:
// gpio-sim's own `value` stays as it was when a line is let go. Runs before everything else on its processor, so that a
// scan sees it act.
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 8 };

static int gpio, rows, columns, offsets[MOST], pulls[MOST], low[MOST];
static int closed[MOST][MOST], down;
static const char *label;

static int open_file(const char *path, int flags) {
  int file = open(path, flags);
  if (file < 0) {
    perror(path);
    exit(1);
  }
  return file;
}

/** Which rows are outputs at low, from lines like ` gpio-520 (  |sysfs ) out lo ` below the chip's own. */
static void driven_low(int *pulled) {
  static char text[16384];
  ssize_t length = pread(gpio, text, sizeof text - 1, 0);
  text[length < 0 ? 0 : length] = 0;
  // `gpiochip1: GPIOs 512-527, parent: platform/gpio-sim.0, LABEL, can sleep:`
  char name[64];
  snprintf(name, sizeof name, ", %s,", label);
  int base = -1, number;
  for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
    if (!strncmp(line, "gpiochip", 8)) {
      char *range = strstr(line, "GPIOs ");
      base = range && strstr(line, name) ? atoi(range + 6) : -1;
    } else if (base >= 0 && sscanf(line, " gpio-%d", &number) == 1) {
      char *state = strrchr(line, ')');
      for (int row = 0; state && row < rows; row++)
        if (offsets[row] == number - base) pulled[row] = !strncmp(state, ") out lo", 8);
    }
  }
}

static void act(void) {
  int pulled[2 * MOST] = {0};
  if (down) driven_low(pulled);
  // A low line pulls whatever a closed switch joins to it, and so on: that is how a ghost comes about.
  for (int changed = 1; changed;) {
    changed = 0;
    for (int row = 0; row < rows; row++)
      for (int column = 0; column < columns; column++)
        if (closed[row][column] && pulled[row] != pulled[MOST + column])
          pulled[row] = pulled[MOST + column] = changed = 1;
  }
  for (int column = 0; column < columns; column++)
    if (pulled[MOST + column] != low[column]) {
      low[column] = pulled[MOST + column];
      const char *pull = low[column] ? "pull-down" : "pull-up";
      pwrite(pulls[column], pull, strlen(pull), 0);
    }
}

int main(int count, char **words) {
  if (count < 4 || count - 3 > MOST) return 2;
  label = words[1];
  for (char *at = strtok(words[2], ","); at && rows < MOST; at = strtok(NULL, ",")) offsets[rows++] = atoi(at);
  gpio = open_file("/sys/kernel/debug/gpio", O_RDONLY);
  for (; columns < count - 3; columns++) {
    char path[512];
    snprintf(path, sizeof path, "%s/pull", words[columns + 3]);
    pulls[columns] = open_file(path, O_WRONLY);
  }
  struct sched_param first = {.sched_priority = 50};
  if (sched_setscheduler(0, SCHED_FIFO, &first)) perror("the switches act late: SCHED_FIFO");
  char text[4096];
  int kept = 0;
  for (;;) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    if (poll(&input, 1, down ? 0 : -1) > 0) {
      int length = read(0, text + kept, sizeof text - 1 - kept);
      if (length <= 0) return 0;
      text[kept += length] = 0;
      char *at = text, *end;
      int row, column, state;
      for (; (end = index(at, '\n')); at = end + 1)
        if (sscanf(at, "%d %d %d", &row, &column, &state) == 3 && row >= 0 && row < rows && column >= 0 &&
            column < columns && closed[row][column] != !!state) {
          closed[row][column] = !!state;
          down += state ? 1 : -1;
        }
      kept = text + kept - at;
      for (int each = 0; each < kept; each++) text[each] = at[each];
    }
    act();
    struct timespec pause = {.tv_nsec = 100 * 1000};
    if (down) nanosleep(&pause, 0);
  }
}
