/*
 * notify: lines from standard input become datagrams to the service manager ($NOTIFY_SOCKET,
 * sd_notify(3)), because Node has no datagram sockets of the Unix family. It ends with its input.
 * Freestanding: no libc, so that one file runs on every Linux of its architecture.
 *   cc -O2 -static -nostdlib -ffreestanding -fno-stack-protector -o notify notify.c
 */
typedef unsigned long word;

#if defined(__x86_64__)
enum { SYS_read = 0, SYS_sendto = 44, SYS_exit = 60, SYS_socket = 41 };
static long call(long number, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
__asm__(".globl _start\n_start:\n mov %rsp,%rdi\n and $-16,%rsp\n call begin\n");
#elif defined(__aarch64__)
enum { SYS_read = 63, SYS_sendto = 206, SYS_exit = 93, SYS_socket = 198 };
static long call(long number, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c, x3 __asm__("x3") = d, x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                   : "memory");
  return x0;
}
__asm__(".globl _start\n_start:\n mov x0,sp\n bl begin\n");
#else
#error "x86_64 or aarch64"
#endif

enum { EINTR = 4, AF_UNIX = 1, SOCK_DGRAM_CLOEXEC = 02000002, LINE = 1024 };

struct address {
  unsigned short family;
  char path[108];
};

static void leave(long status) {
  for (;;) call(SYS_exit, status, 0, 0, 0, 0, 0);
}

/* Value of NOTIFY_SOCKET in the environment behind argv, or 0. */
static const char *find_socket(char **environment) {
  static const char name[] = "NOTIFY_SOCKET=";
  for (; *environment; environment++) {
    const char *text = *environment;
    unsigned at = 0;
    while (name[at] && text[at] == name[at]) at++;
    if (!name[at]) return text + at;
  }
  return 0;
}

static unsigned fill(struct address *to, const char *path) {
  unsigned length = 0;
  to->family = AF_UNIX;
  while (path[length]) {
    if (length >= sizeof to->path - 1) leave(2);
    to->path[length] = path[length];
    length++;
  }
  if (length < 2) leave(2);
  if (to->path[0] == '@') to->path[0] = 0; /* abstract name */
  else if (to->path[0] != '/') leave(2);
  return sizeof to->family + length;
}

__attribute__((used)) void begin(word *stack) {
  static struct address to;
  static char line[LINE];
  word argc = stack[0];
  const char *path = find_socket((char **)(stack + argc + 2));
  if (!path) leave(2);
  unsigned length = fill(&to, path);
  long socket = call(SYS_socket, AF_UNIX, SOCK_DGRAM_CLOEXEC, 0, 0, 0, 0);
  if (socket < 0) leave(3);
  unsigned used = 0;
  for (;;) {
    char byte;
    long got = call(SYS_read, 0, (long)&byte, 1, 0, 0, 0);
    if (got == -EINTR) continue;
    if (got <= 0) leave(0);
    if (byte != '\n') {
      if (used < LINE) line[used++] = byte; /* a longer line is cut */
      continue;
    }
    if (used) call(SYS_sendto, socket, (long)line, used, 0, (long)&to, length);
    used = 0;
  }
}
