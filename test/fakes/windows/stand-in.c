/*
 * What Wine lacks for the campaign, one program that is what its file is called:
 *   wazuh-agent.exe  the service WazuhSvc: dials the servers of ossec.conf beside it, in order, keeps
 *                    the first that takes it, and says so in wazuh-agent.state; a stand-in, no agent
 *   tasklist.exe     /FI "IMAGENAME eq NAME" /FO CSV /NH   (Wine's prints nothing)
 *   netstat.exe      -ano -p TCP                           (Wine's prints no process ids, nor has it
 *                    any: the agent leaves the port of its connection and its id in a file)
 *   keeper.exe       sleeps: Wine ends a session of nothing but services
 *   x86_64-w64-mingw32-gcc -O2 -s -static -o stand-in.exe stand-in.c -lws2_32 -liphlpapi -ladvapi32
 */
#define _WIN32_WINNT 0x0601
#include <winsock2.h>
#include <ws2tcpip.h>
#include <iphlpapi.h>
#include <windows.h>
#include <tlhelp32.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define OWNER_FILE "C:\\windows\\temp\\stand-in-owner.txt"
enum { MAX_CONFIG = 1 << 20, MAX_PATH_TEXT = 1024, BEAT_MS = 500 };

static SERVICE_STATUS_HANDLE handle;
static HANDLE stopping;
static char folder[MAX_PATH_TEXT];

static void report(DWORD state) {
  SERVICE_STATUS status = {0};
  status.dwServiceType = SERVICE_WIN32_OWN_PROCESS;
  status.dwCurrentState = state;
  status.dwControlsAccepted = state == SERVICE_RUNNING ? SERVICE_ACCEPT_STOP : 0;
  SetServiceStatus(handle, &status);
}

static void WINAPI control(DWORD code) {
  if (code != SERVICE_CONTROL_STOP) return;
  report(SERVICE_STOP_PENDING);
  SetEvent(stopping);
}

static FILE *beside(const char *name, const char *mode) {
  char path[MAX_PATH_TEXT + 32];
  snprintf(path, sizeof path, "%s\\%s", folder, name);
  return fopen(path, mode);
}

static void write_state(const char *word) {
  char now[32];
  time_t seconds = time(NULL);
  strftime(now, sizeof now, "%Y-%m-%d %H:%M:%S", localtime(&seconds));
  FILE *file = beside("wazuh-agent.state", "wb");
  if (!file) return;
  fprintf(file, "status='%s'\r\nlast_keepalive='%s'\r\nlast_ack='%s'\r\nmsg_count='1'\r\nmsg_sent='1'\r\n",
          word, now, now);
  fclose(file);
}

/* The text between <tag> and </tag> behind `from`; returns where it ends, or NULL. */
static const char *element(const char *from, const char *tag, char *text, size_t size) {
  char open[64], close[64];
  snprintf(open, sizeof open, "<%s>", tag);
  snprintf(close, sizeof close, "</%s>", tag);
  const char *start = strstr(from, open);
  const char *end = start ? strstr(start, close) : NULL;
  if (!end) return NULL;
  start += strlen(open);
  if ((size_t)(end - start) >= size) return NULL;
  memcpy(text, start, end - start);
  text[end - start] = 0;
  return end;
}

static void leave_owner(SOCKET connection) {
  struct sockaddr_in own;
  int size = sizeof own;
  FILE *file = fopen(OWNER_FILE, "wb");
  if (!file) return;
  if (getsockname(connection, (struct sockaddr *)&own, &size) == 0)
    fprintf(file, "%u %lu", ntohs(own.sin_port), GetCurrentProcessId());
  fclose(file);
}

static SOCKET dial(const char *address, int port) {
  struct sockaddr_in to = {0};
  to.sin_family = AF_INET;
  to.sin_port = htons((unsigned short)port);
  to.sin_addr.s_addr = inet_addr(address);
  SOCKET made = socket(AF_INET, SOCK_STREAM, 0);
  if (made != INVALID_SOCKET && connect(made, (struct sockaddr *)&to, sizeof to) == 0) {
    leave_owner(made);
    return made;
  }
  closesocket(made);
  return INVALID_SOCKET;
}

static SOCKET dial_first(const char *config) {
  char address[256], port[16];
  const char *at = config;
  while ((at = element(at, "address", address, sizeof address))) {
    const char *next = element(at, "port", port, sizeof port);
    SOCKET made = dial(address, next ? atoi(port) : 1514);
    if (made != INVALID_SOCKET) return made;
  }
  return INVALID_SOCKET;
}

static void WINAPI serve(DWORD count, char **words) {
  (void)count, (void)words;
  static char config[MAX_CONFIG];
  stopping = CreateEventA(NULL, TRUE, FALSE, NULL);
  handle = RegisterServiceCtrlHandlerA("WazuhSvc", control);
  report(SERVICE_RUNNING);
  FILE *file = beside("ossec.conf", "rb");
  if (file) config[fread(config, 1, MAX_CONFIG - 1, file)] = 0, fclose(file);
  SOCKET manager = INVALID_SOCKET;
  do {
    if (manager == INVALID_SOCKET) manager = dial_first(config);
    write_state(manager == INVALID_SOCKET ? "pending" : "connected");
  } while (WaitForSingleObject(stopping, BEAT_MS) == WAIT_TIMEOUT);
  if (manager != INVALID_SOCKET) closesocket(manager);
  report(SERVICE_STOPPED);
}

static int run_agent(void) {
  WSADATA data;
  WSAStartup(MAKEWORD(2, 2), &data);
  SERVICE_TABLE_ENTRYA table[] = {{"WazuhSvc", serve}, {NULL, NULL}};
  return StartServiceCtrlDispatcherA(table) ? 0 : 1;
}

static int list_tasks(int count, char **words) {
  const char *name = count > 2 ? strstr(words[2], " eq ") : NULL;
  HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
  PROCESSENTRY32 one = {.dwSize = sizeof one};
  for (BOOL more = Process32First(all, &one); more; more = Process32Next(all, &one)) {
    if (name && _stricmp(one.szExeFile, name + 4) != 0) continue;
    printf("\"%s\",\"%lu\",\"Services\",\"0\",\"1 K\"\r\n", one.szExeFile, one.th32ProcessID);
  }
  return 0;
}

static int list_connections(void) {
  static char buffer[1 << 20];
  DWORD size = sizeof buffer;
  unsigned port = 0;
  unsigned long owner = 0;
  FILE *file = fopen(OWNER_FILE, "rb");
  if (file) {
    if (fscanf(file, "%u %lu", &port, &owner) != 2) port = 0;
    fclose(file);
  }
  MIB_TCPTABLE_OWNER_PID *table = (void *)buffer;
  if (GetExtendedTcpTable(table, &size, FALSE, AF_INET, TCP_TABLE_OWNER_PID_ALL, 0)) return 1;
  for (DWORD i = 0; i < table->dwNumEntries; i++) {
    MIB_TCPROW_OWNER_PID *row = &table->table[i];
    if (row->dwState != MIB_TCP_STATE_ESTAB) continue;
    struct in_addr ours = {.s_addr = row->dwLocalAddr}, theirs = {.s_addr = row->dwRemoteAddr};
    unsigned local = ntohs((unsigned short)row->dwLocalPort);
    printf("  TCP    %s:%u", inet_ntoa(ours), local);
    printf("   %s:%u   ESTABLISHED   %lu\r\n", inet_ntoa(theirs),
           ntohs((unsigned short)row->dwRemotePort), local == port ? owner : row->dwOwningPid);
  }
  return 0;
}

int main(int count, char **words) {
  GetModuleFileNameA(NULL, folder, sizeof folder);
  char *name = strrchr(folder, '\\');
  if (!name) return 1;
  *name++ = 0;
  if (_stricmp(name, "keeper.exe") == 0) Sleep(INFINITE);
  if (_stricmp(name, "tasklist.exe") == 0) return list_tasks(count, words);
  if (_stricmp(name, "netstat.exe") == 0) return list_connections();
  return run_agent();
}
