/*
 * The least a relay can do on Linux: splice(2) both ways through pipes, bytes never enter the
 * process. One connection at a time, half-close passed on, no health, no choice, no limits.
 * Usage: bare-splice LISTEN_PORT TARGET_PORT (127.0.0.1 both). Prints "ready".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { AT_ONCE = 1 << 16 };

struct direction {
  int from, to, pipe_in, pipe_out;
  ssize_t held;
  int ended, closed;
};

static struct sockaddr_in at(const char *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/* 0: this connection is over. */
static int move(struct direction *d) {
  if (d->held == 0 && !d->ended) {
    ssize_t got = splice(d->from, NULL, d->pipe_in, NULL, AT_ONCE, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (got < 0 && errno != EAGAIN) return 0;
    if (got == 0) d->ended = 1;
    if (got > 0) d->held = got;
  }
  if (d->held > 0) {
    ssize_t put = splice(d->pipe_out, NULL, d->to, NULL, d->held, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (put < 0 && errno != EAGAIN) return 0;
    if (put > 0) d->held -= put;
  }
  if (d->ended && d->held == 0 && !d->closed) {
    shutdown(d->to, SHUT_WR);
    d->closed = 1;
  }
  return 1;
}

static void relay(int agent, int manager) {
  int up[2], down[2], on = 1;
  if (pipe2(up, O_NONBLOCK) || pipe2(down, O_NONBLOCK)) exit(1);
  struct direction both[2] = {{agent, manager, up[1], up[0], 0, 0, 0},
                              {manager, agent, down[1], down[0], 0, 0, 0}};
  setsockopt(agent, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(manager, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(agent, F_SETFL, O_NONBLOCK);
  fcntl(manager, F_SETFL, O_NONBLOCK);
  while (!both[0].closed || !both[1].closed) {
    struct pollfd wait[2] = {{agent, 0, 0}, {manager, 0, 0}};
    for (int i = 0; i < 2; i++) {
      if (both[i].held > 0) wait[1 - i].events |= POLLOUT;
      else if (!both[i].ended) wait[i].events |= POLLIN;
    }
    if (poll(wait, 2, -1) < 0) break;
    if (!move(&both[0]) || !move(&both[1])) break;
  }
  close(up[0]), close(up[1]), close(down[0]), close(down[1]);
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  struct sockaddr_in here = at(argv[1]), there = at(argv[2]);
  int on = 1, server = socket(AF_INET, SOCK_STREAM, 0);
  signal(SIGPIPE, SIG_IGN);
  setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(server, (void *)&here, sizeof here) || listen(server, 16)) return 1;
  puts("ready");
  fflush(stdout);
  for (;;) {
    int agent = accept(server, NULL, NULL), manager = socket(AF_INET, SOCK_STREAM, 0);
    if (agent >= 0 && connect(manager, (void *)&there, sizeof there) == 0) relay(agent, manager);
    close(agent), close(manager);
  }
}
