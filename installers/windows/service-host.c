/*
 * pilotfish-service.exe: the Windows service around pilotfish.exe.
 *   (no argument)  run by the service control manager
 *   setup          what the MSI cannot say: recovery actions, access rights, first configuration
 *   teardown       before uninstall: the agent's server entries as they were before us
 *   replace TARGET NEW BACKUP   ReplaceFileW, which Node lacks; ends with the Win32 error
 *   protect PATH   only SYSTEM and Administrators may touch the file; ends with the Win32 error
 *   started PID    prints when that process started, as FILETIME; ends with 1 when there is none
 *
 * The sidecar's standard input is its stop channel: we close our end, it finishes what it writes
 * and ends. Only one that does not end in STOP_MS is terminated. Its output goes to pilotfish.log.
 * It ends with us (job object), and is started again with growing pauses when it ends by itself.
 */
#define _WIN32_WINNT 0x0601
#include <windows.h>
#include <aclapi.h>
#include <sddl.h>
#include <shlobj.h>
#include <stdarg.h>
#include <stdio.h>
#include <wchar.h>

#define SERVICE L"Pilotfish"
#define REGISTRY L"SOFTWARE\\Pilotfish"
enum { STOP_MS = 60000, FIRST_PAUSE_MS = 2000, LAST_PAUSE_MS = 60000, CALM_MS = 600000 };
enum { MAX_LOG_BYTES = 8 * 1024 * 1024, TEXT = 4096, RESTORE_MS = 300000 };
/* Exit code of a configuration that does not mend itself. */
enum { USAGE = 2 };

static SERVICE_STATUS_HANDLE status_handle;
static SERVICE_STATUS status;
static HANDLE stop_event;

static void report(DWORD state, DWORD wait_ms) {
  status.dwServiceType = SERVICE_WIN32_OWN_PROCESS;
  status.dwCurrentState = state;
  status.dwControlsAccepted =
      state == SERVICE_RUNNING ? SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_SHUTDOWN : 0;
  status.dwWaitHint = wait_ms;
  status.dwCheckPoint = wait_ms == 0 ? 0 : status.dwCheckPoint + 1;
  SetServiceStatus(status_handle, &status);
}

static void WINAPI control(DWORD code) {
  if (code == SERVICE_CONTROL_STOP || code == SERVICE_CONTROL_SHUTDOWN) {
    report(SERVICE_STOP_PENDING, STOP_MS);
    SetEvent(stop_event);
  }
}

/* Beside ourselves; no search of any path. */
static void beside(WCHAR *path, const WCHAR *name) {
  GetModuleFileNameW(NULL, path, TEXT);
  WCHAR *last = wcsrchr(path, L'\\');
  if (last) wcscpy(last + 1, name);
}

static BOOL data_path(WCHAR *path, const WCHAR *name) {
  WCHAR base[MAX_PATH];
  if (SHGetFolderPathW(NULL, CSIDL_COMMON_APPDATA, NULL, 0, base) != S_OK) return FALSE;
  swprintf(path, TEXT, L"%ls\\Pilotfish%ls%ls", base, *name ? L"\\" : L"", name);
  return TRUE;
}

/* SYSTEM and Administrators, nobody else, nothing inherited. */
static const WCHAR tight[] = L"D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)";

/* Also where somebody made the directory before us: owner and rights are set anew. */
static BOOL make_data_folder(void) {
  WCHAR path[TEXT];
  PSECURITY_DESCRIPTOR descriptor = NULL;
  if (!data_path(path, L"")) return FALSE;
  if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(tight, SDDL_REVISION_1, &descriptor, NULL))
    return FALSE;
  SECURITY_ATTRIBUTES attributes = {sizeof attributes, descriptor, FALSE};
  BOOL made = CreateDirectoryW(path, &attributes);
  DWORD error = made ? 0 : GetLastError();
  if (error == ERROR_ALREADY_EXISTS) {
    PACL list = NULL;
    BOOL present = FALSE, defaulted = FALSE;
    DWORD attributes_now = GetFileAttributesW(path);
    /* A junction planted under our name must not lead us elsewhere. */
    if (attributes_now & FILE_ATTRIBUTE_REPARSE_POINT) { LocalFree(descriptor); return FALSE; }
    if (GetSecurityDescriptorDacl(descriptor, &present, &list, &defaulted))
      error = SetNamedSecurityInfoW(path, SE_FILE_OBJECT,
                                    DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION,
                                    NULL, NULL, list, NULL);
  }
  LocalFree(descriptor);
  return error == 0;
}

static BOOL setting(const WCHAR *name, WCHAR *text) {
  DWORD bytes = (TEXT - 1) * sizeof(WCHAR);
  LSTATUS found =
      RegGetValueW(HKEY_LOCAL_MACHINE, REGISTRY, name, RRF_RT_REG_SZ, NULL, text, &bytes);
  return found == ERROR_SUCCESS && *text;
}

/* One YAML scalar in single quotes; control characters end it. */
static void put_scalar(FILE *file, const WCHAR *text) {
  fputc('\'', file);
  for (; *text && *text >= 32; text++) {
    if (*text == L'\'') fputc('\'', file);
    if (*text < 127) fputc((char)*text, file);
  }
  fputs("'", file);
}

static void put_list(FILE *file, WCHAR *text) {
  fputc('[', file);
  WCHAR *one;
  int count = 0;
  for (one = wcstok(text, L",;"); one; one = wcstok(NULL, L",;")) {
    while (*one == L' ') one++;
    if (count++) fputs(", ", file);
    put_scalar(file, one);
  }
  fputs("]\n", file);
}

static void put_key(FILE *file, const char *key, const WCHAR *text) {
  fprintf(file, "%s: ", key);
  put_scalar(file, text);
  fputc('\n', file);
}

/* From what the MSI left in the registry; a file that is there is its administrator's. */
static BOOL write_first_config(void) {
  WCHAR path[TEXT], temp[TEXT], text[TEXT], more[TEXT];
  if (!data_path(path, L"pilotfish.yml") || !data_path(temp, L"pilotfish.yml.new")) return FALSE;
  if (GetFileAttributesW(path) != INVALID_FILE_ATTRIBUTES) return TRUE;
  FILE *file = _wfopen(temp, L"wb");
  if (!file) return FALSE;
  fputs("# Configuration of pilotfish. Every key: pilotfish --help\n", file);
  if (setting(L"JoinToken", text)) put_key(file, "joinToken", text);
  if (setting(L"Zone", text)) put_key(file, "zone", text);
  BOOL has_mode = setting(L"ApplyMode", text), has_window = setting(L"MaintenanceWindow", more);
  if (has_mode || has_window) fputs("apply:\n", file);
  if (has_mode) put_key(file, "  mode", text);
  if (has_window) fputs("  windows: ", file), put_list(file, more);
  BOOL has_urls = setting(L"PublisherUrls", text), has_proxy = setting(L"Proxy", more);
  if (has_urls || has_proxy) fputs("sources:\n", file);
  if (has_urls) fputs("  publishers: ", file), put_list(file, text);
  if (has_proxy) put_key(file, "  proxy", more);
  BOOL good = fflush(file) == 0 && !ferror(file);
  fclose(file);
  return good && MoveFileExW(temp, path, MOVEFILE_WRITE_THROUGH);
}

static HANDLE open_log(void) {
  WCHAR path[TEXT], old[TEXT];
  if (!data_path(path, L"pilotfish.log") || !data_path(old, L"pilotfish.old.log")) return NULL;
  SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
  WIN32_FILE_ATTRIBUTE_DATA found;
  if (GetFileAttributesExW(path, GetFileExInfoStandard, &found) &&
      (found.nFileSizeHigh || found.nFileSizeLow > MAX_LOG_BYTES))
    MoveFileExW(path, old, MOVEFILE_REPLACE_EXISTING);
  HANDLE log = CreateFileW(path, FILE_APPEND_DATA | SYNCHRONIZE, FILE_SHARE_READ | FILE_SHARE_DELETE,
                           &inherited, OPEN_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);
  return log == INVALID_HANDLE_VALUE ? NULL : log;
}

/* Nothing of the environment may choose what our program loads. */
static void clean_environment(void) {
  static const WCHAR *const names[] = {L"NODE_OPTIONS", L"NODE_EXTRA_CA_CERTS", L"OPENSSL_CONF",
                                       L"OPENSSL_MODULES", L"NODE_PATH"};
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++) SetEnvironmentVariableW(names[i], NULL);
  SetEnvironmentVariableW(L"PILOTFISH_STOP_CHANNEL", L"stdin");
}

/* `words` behind the quoted program. Returns the process; *input is our end of the stop channel. */
static HANDLE start_program(const WCHAR *words, HANDLE job, HANDLE *input) {
  WCHAR program[TEXT], line[TEXT + 256];
  beside(program, L"pilotfish.exe");
  swprintf(line, TEXT + 256, L"\"%ls\" %ls", program, words);
  SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
  HANDLE theirs = NULL, log = open_log();
  if (!CreatePipe(&theirs, input, &inherited, 0)) return NULL;
  SetHandleInformation(*input, HANDLE_FLAG_INHERIT, 0);
  STARTUPINFOW start = {.cb = sizeof start, .dwFlags = STARTF_USESTDHANDLES,
                        .hStdInput = theirs, .hStdOutput = log, .hStdError = log};
  PROCESS_INFORMATION made;
  BOOL good = CreateProcessW(program, line, NULL, NULL, TRUE, CREATE_NO_WINDOW | CREATE_SUSPENDED,
                             NULL, NULL, &start, &made);
  CloseHandle(theirs);
  if (log) CloseHandle(log);
  if (!good) {
    CloseHandle(*input);
    return NULL;
  }
  if (job) AssignProcessToJobObject(job, made.hProcess);
  ResumeThread(made.hThread);
  CloseHandle(made.hThread);
  return made.hProcess;
}

static HANDLE make_job(void) {
  HANDLE job = CreateJobObjectW(NULL, NULL);
  JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {0};
  /* The agent's own processes are started by the service manager, never inside this job. */
  limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
  SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits);
  return job;
}

/* Closes the stop channel and waits, telling the service manager that we are at it. */
static void stop_program(HANDLE process, HANDLE input) {
  CloseHandle(input);
  for (DWORD waited = 0; waited < STOP_MS; waited += 1000) {
    if (WaitForSingleObject(process, 1000) == WAIT_OBJECT_0) return;
    report(SERVICE_STOP_PENDING, STOP_MS);
  }
  TerminateProcess(process, 1);
}

/* Returns what the service reports as its exit. */
static DWORD supervise(void) {
  HANDLE job = make_job();
  DWORD pause_ms = FIRST_PAUSE_MS;
  for (;;) {
    HANDLE input = NULL;
    ULONGLONG since = GetTickCount64();
    HANDLE process = start_program(L"run", job, &input);
    if (!process) return GetLastError() ? GetLastError() : ERROR_PROCESS_ABORTED;
    HANDLE both[] = {stop_event, process};
    DWORD which = WaitForMultipleObjects(2, both, FALSE, INFINITE);
    DWORD code = 0;
    if (which == WAIT_OBJECT_0) stop_program(process, input);
    else CloseHandle(input), GetExitCodeProcess(process, &code);
    CloseHandle(process);
    if (which == WAIT_OBJECT_0) return NO_ERROR;
    if (code == USAGE) return ERROR_BAD_CONFIGURATION;
    pause_ms = GetTickCount64() - since > CALM_MS ? FIRST_PAUSE_MS : pause_ms;
    if (WaitForSingleObject(stop_event, pause_ms) == WAIT_OBJECT_0) return NO_ERROR;
    pause_ms = pause_ms * 2 > LAST_PAUSE_MS ? LAST_PAUSE_MS : pause_ms * 2;
  }
}

static void WINAPI serve(DWORD count, WCHAR **words) {
  (void)count, (void)words;
  stop_event = CreateEventW(NULL, TRUE, FALSE, NULL);
  status_handle = RegisterServiceCtrlHandlerW(SERVICE, control);
  report(SERVICE_START_PENDING, 10000);
  if (!make_data_folder() || !write_first_config()) {
    status.dwWin32ExitCode = ERROR_CANNOT_MAKE;
    report(SERVICE_STOPPED, 0);
    return;
  }
  report(SERVICE_RUNNING, 0);
  status.dwWin32ExitCode = supervise();
  report(SERVICE_STOPPED, 0);
}

/* Restart after 5 s, 30 s, then every minute; also when we report an error instead of crashing. */
static BOOL set_recovery(void) {
  SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
  SC_HANDLE service =
      manager ? OpenServiceW(manager, SERVICE, SERVICE_CHANGE_CONFIG | SERVICE_START) : NULL;
  SC_ACTION actions[] = {{SC_ACTION_RESTART, 5000}, {SC_ACTION_RESTART, 30000},
                         {SC_ACTION_RESTART, 60000}};
  SERVICE_FAILURE_ACTIONSW failure = {86400, NULL, NULL, 3, actions};
  SERVICE_DELAYED_AUTO_START_INFO delayed = {TRUE};
  BOOL good = service && ChangeServiceConfig2W(service, SERVICE_CONFIG_FAILURE_ACTIONS, &failure);
  if (good) ChangeServiceConfig2W(service, SERVICE_CONFIG_DELAYED_AUTO_START_INFO, &delayed);
  if (service) CloseServiceHandle(service);
  if (manager) CloseServiceHandle(manager);
  return good;
}

/* Exit code of the program; 22 when it does not end in time, 21 when it does not start. */
static DWORD run_to_end(const WCHAR *words, DWORD limit_ms) {
  HANDLE input = NULL, process = start_program(words, NULL, &input);
  if (!process) return 21;
  DWORD code = 22;
  if (WaitForSingleObject(process, limit_ms) == WAIT_OBJECT_0) GetExitCodeProcess(process, &code);
  else TerminateProcess(process, 1);
  CloseHandle(input);
  CloseHandle(process);
  return code;
}

/* Left by our own teardown: the hold behind it is nobody's wish once we are installed again. */
static const WCHAR torn_down[] = L"torn-down";

static void end_hold(void) {
  WCHAR mark[TEXT];
  if (!data_path(mark, torn_down)) return;
  if (GetFileAttributesW(mark) == INVALID_FILE_ATTRIBUTES) return;
  if (run_to_end(L"resume", STOP_MS) == 0) DeleteFileW(mark);
}

static int set_up(void) {
  if (!make_data_folder()) return 11;
  if (!write_first_config()) return 12;
  end_hold();
  return set_recovery() ? 0 : 13;
}

/* The MSI has stopped the service. Nothing was ever written: no work, and no failure. */
static int tear_down(void) {
  WCHAR original[TEXT], mark[TEXT];
  if (!data_path(original, L"state\\applier\\backups\\original.conf")) return 0;
  if (GetFileAttributesW(original) == INVALID_FILE_ATTRIBUTES) return 0;
  if (data_path(mark, torn_down)) {
    /* First: a hold without it would outlast the next installation. */
    HANDLE made = CreateFileW(mark, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);
    if (made != INVALID_HANDLE_VALUE) CloseHandle(made);
  }
  return (int)run_to_end(L"restore --original", RESTORE_MS);
}

static DWORD protect(WCHAR *path) {
  PSECURITY_DESCRIPTOR descriptor = NULL;
  PACL list = NULL;
  BOOL present = FALSE, defaulted = FALSE;
  if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(L"D:P(A;;FA;;;SY)(A;;FA;;;BA)",
                                                            SDDL_REVISION_1, &descriptor, NULL))
    return GetLastError();
  DWORD error = ERROR_INVALID_ACL;
  if (GetSecurityDescriptorDacl(descriptor, &present, &list, &defaulted) && present)
    error = SetNamedSecurityInfoW(path, SE_FILE_OBJECT,
                                  DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION,
                                  NULL, NULL, list, NULL);
  LocalFree(descriptor);
  return error;
}

static int print_start(const WCHAR *text) {
  FILETIME made, ended, kernel, user;
  DWORD code = 0;
  HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, wcstoul(text, NULL, 10));
  if (!process) return 1;
  BOOL good = GetProcessTimes(process, &made, &ended, &kernel, &user) &&
              GetExitCodeProcess(process, &code) && code == STILL_ACTIVE;
  CloseHandle(process);
  if (good) printf("%08lx%08lx\n", made.dwHighDateTime, made.dwLowDateTime);
  return good ? 0 : 1;
}

static int replace(const WCHAR *target, const WCHAR *with, const WCHAR *backup) {
  BOOL good = ReplaceFileW(target, with, backup, REPLACEFILE_IGNORE_MERGE_ERRORS, NULL, NULL);
  return good ? 0 : (int)GetLastError();
}

int wmain(int count, WCHAR **words) {
  SetDllDirectoryW(L"");
  clean_environment();
  if (count == 2 && wcscmp(words[1], L"setup") == 0) return set_up();
  if (count == 2 && wcscmp(words[1], L"teardown") == 0) return tear_down();
  if (count == 5 && wcscmp(words[1], L"replace") == 0) return replace(words[2], words[3], words[4]);
  if (count == 3 && wcscmp(words[1], L"protect") == 0) return (int)protect(words[2]);
  if (count == 3 && wcscmp(words[1], L"started") == 0) return print_start(words[2]);
  SERVICE_TABLE_ENTRYW table[] = {{SERVICE, serve}, {NULL, NULL}};
  return StartServiceCtrlDispatcherW(table) ? 0 : 1;
}
