/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * intruder FILE: starts a process for each role below, which says in FILE "ROLE PID" and sleeps, and returns once all
 * have. What they do to themselves and to each other is what kioku's checks are to find, or not to take for that.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_FD 100
#define PAGE     4096

static const char *list;

static void need(int good, const char *what)
{
	if (!good) {
		fprintf(stderr, "intruder: %s: %m\n", what);
		(void)!write(READY_FD, "!", 1);
		_exit(1);
	}
}

/* Before it cannot any more. */
static void say(const char *role)
{
	char line[64];
	int file = open(list, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	int size = snprintf(line, sizeof(line), "%s %d\n", role, getpid());

	need(file >= 0 && write(file, line, (size_t)size) == size, list);
	close(file);
	need(write(READY_FD, ".", 1) == 1, "tell the launcher");
	close(READY_FD);
}

static void settle(const char *role)
{
	say(role);
	for (;;)
		pause();
}

/* again: mov $34 (pause), %eax; syscall; jmp again */
static const uint8_t resting[] = { 0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7 };

/* mov $42, %eax; ret */
static const uint8_t answering[] = { 0xb8, 42, 0, 0, 0, 0xc3 };

static void run_in(const char *role, void *place)
{
	memcpy(place, resting, sizeof(resting));
	say(role);
	((void (*)(void))(uintptr_t)place)();
}

static void *map(size_t size, int protection, int flags, int file)
{
	void *area = mmap(NULL, size, protection, flags, file, 0);

	need(area != MAP_FAILED, "mmap");
	return area;
}

/* What is overwritten: a page of its own, so that nothing else is. */
__attribute__((noinline, used, aligned(PAGE), section(".text.target"))) static int target(int x)
{
	__asm__ volatile(".skip 4096, 0x90");
	return x * 3 + 1;
}

static uint8_t *page_of_target(void)
{
	return (uint8_t *)((uintptr_t)target & ~(uintptr_t)(PAGE - 1));
}

static void overwrite(const char *role, const void *bytes, size_t size)
{
	uint8_t *page = page_of_target();

	need(!mprotect(page, PAGE, PROT_READ | PROT_WRITE), "mprotect");
	memcpy(page + 16, bytes, size);
	need(!mprotect(page, PAGE, PROT_READ | PROT_EXEC), "mprotect");
	settle(role);
}

static void overwritten(void)
{
	overwrite("overwritten", answering, sizeof(answering));
}

/* As a debugger does. */
static void breakpoint(void)
{
	overwrite("breakpoint", "\xcc", 1);
}

/* A copy of a page of code that says what the file does. */
static void copied(void)
{
	overwrite("copied", page_of_target() + 16, 8);
}

/* Its own code is as it was started; somebody else's is not. */
static void injector(void)
{
	int child = fork();

	if (child == 0) {
		for (;;)
			pause();
	}
	need(child > 0 && !ptrace(PTRACE_ATTACH, child, NULL, NULL), "attach");
	need(waitpid(child, NULL, 0) == child, "wait");
	for (size_t i = 0; i < 64; i += 8)
		need(!ptrace(PTRACE_POKETEXT, child, page_of_target() + 64 + i,
			     (void *)0x0102030405060708),
		     "poke");
	need(!ptrace(PTRACE_DETACH, child, NULL, NULL), "detach");
	int file = open(list, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	need(dprintf(file, "injected %d\n", child) > 0, list);
	close(file);
	settle("injector");
}

static void shellcode(void)
{
	run_in("shellcode",
	       map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1));
}

/* As compilers at run time do: written, made executable, called, left again. */
static void jit(void)
{
	void *area = map(64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	void *writable =
		map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	memcpy(area, answering, sizeof(answering));
	memcpy(writable, answering, sizeof(answering));
	need(!mprotect(area, 64 * PAGE, PROT_READ | PROT_EXEC), "mprotect");
	need(((int (*)(void))(uintptr_t)area)() == 42 &&
		     ((int (*)(void))(uintptr_t)writable)() == 42,
	     "call");
	settle("jit");
}

static void stack(void)
{
	uint8_t room[2 * PAGE];
	uint8_t *page = (uint8_t *)(((uintptr_t)room + PAGE - 1) & ~(uintptr_t)(PAGE - 1));

	need(!mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC), "mprotect");
	run_in("stack", page);
}

/* A program without a file: its header and more of it in memory that is executable. */
static void reflected(void)
{
	uint8_t *area = map(16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	need(file >= 0 && read(file, area, 4 * PAGE) > PAGE, "read");
	close(file);
	area[PAGE] ^= 1;
	need(!mprotect(area, 16 * PAGE, PROT_READ | PROT_EXEC), "mprotect");
	settle("reflected");
}

/* A library that is loaded as the kernel would not: its header cannot be run, its code can. */
static void loaded(void)
{
	uint8_t *area = map(16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	int file = open("/lib/quiet.so", O_RDONLY | O_CLOEXEC);

	/* Its first segments lie in memory as they do in the file, the second is code. */
	need(file >= 0 && read(file, area, 8 * PAGE) > 2 * PAGE, "read");
	close(file);
	need(!mprotect(area, PAGE, PROT_READ), "mprotect");
	need(!mprotect(area + PAGE, PAGE, PROT_READ | PROT_EXEC), "mprotect");
	settle("loaded");
}

/* The kernel's own library as memory like other, as a process has it that was restored. */
static void restored(void)
{
	void *area = map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	memcpy(area, (const void *)getauxval(AT_SYSINFO_EHDR), PAGE);
	need(!mprotect(area, PAGE, PROT_READ | PROT_EXEC), "mprotect");
	settle("restored");
}

static void copy_file(const char *from, int to)
{
	char buffer[1 << 16];
	ssize_t size;
	int file = open(from, O_RDONLY | O_CLOEXEC);

	need(file >= 0 && to >= 0, from);
	while ((size = read(file, buffer, sizeof(buffer))) > 0)
		need(write(to, buffer, (size_t)size) == size, "write");
	close(file);
}

static void make_file(const char *from, const char *path)
{
	int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	copy_file(from, file);
	close(file);
}

/* The same as a file that has no name; opened for writing it could not be executed. */
static int nameless(const char *from)
{
	char path[32];
	int file = memfd_create("nameless", 0);

	copy_file(from, file);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	int again = open(path, O_RDONLY);
	close(file);
	need(again >= 0, path);
	return again;
}

static void memfd(void)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", nameless("/proc/self/exe"));
	execl(path, path, list, "as memfd", NULL);
	need(0, path);
}

static void deleted(void)
{
	make_file("/proc/self/exe", "/lab/intruder-deleted");
	execl("/lab/intruder-deleted", "x", list, "as deleted", NULL);
	need(0, "exec");
}

/* As an upgrade of a package does. */
static void replaced(void)
{
	make_file("/proc/self/exe", "/lab/intruder-replaced");
	execl("/lab/intruder-replaced", "x", list, "as replaced", NULL);
	need(0, "exec");
}

static void preloaded(void)
{
	setenv("LD_PRELOAD", "/lib/quiet.so", 1);
	execl("/proc/self/exe", "x", list, "as preloaded", NULL);
	need(0, "exec");
}

/* Of what is preloaded, nothing is left but what is mapped. */
static void traceless(void)
{
	make_file("/lib/quiet.so", "/lab/traceless.so");
	setenv("LD_PRELOAD", "/lab/traceless.so", 1);
	execl("/proc/self/exe", "x", list, "as traceless", NULL);
	need(0, "exec");
}

static void wipe(const char *name)
{
	char *value = getenv(name);

	need(value != NULL, name);
	memset(value - strlen(name) - 1, 'x', strlen(value) + strlen(name) + 1);
}

static void opened(void)
{
	need(dlopen("/lib/quiet.so", RTLD_NOW) != NULL, "dlopen");
	settle("opened");
}

/* Of a program that has been given its library's code by hand, its loader knows nothing. */
static void by_hand(void)
{
	int file = open("/lib/quiet.so", O_RDONLY | O_CLOEXEC);

	need(file >= 0, "/lib/quiet.so");
	map(PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file);
	settle("by-hand");
}

/* Written through one mapping, run through another. */
static void twice(void)
{
	int file = memfd_create("twice", MFD_CLOEXEC);

	need(file >= 0 && !ftruncate(file, PAGE), "memfd");
	void *writable = map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file);
	void *runnable = map(PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, file);
	memcpy(writable, answering, sizeof(answering));
	need(((int (*)(void))(uintptr_t)runnable)() == 42, "call");
	settle("twice");
}

/* A library that its loader has to write addresses into the code of. */
static void relocated(void)
{
	need(dlopen("/lib/relocated.so", RTLD_NOW) != NULL, "dlopen");
	settle("relocated");
}

static void ordinary(void)
{
	settle("ordinary");
}

static const struct role {
	const char *name;
	void (*play)(void);
} roles[] = {
	{ "overwritten", overwritten },
	{ "breakpoint", breakpoint },
	{ "copied", copied },
	{ "injector", injector },
	{ "shellcode", shellcode },
	{ "jit", jit },
	{ "stack", stack },
	{ "reflected", reflected },
	{ "memfd", memfd },
	{ "deleted", deleted },
	{ "replaced", replaced },
	{ "preloaded", preloaded },
	{ "traceless", traceless },
	{ "opened", opened },
	{ "by-hand", by_hand },
	{ "loaded", loaded },
	{ "restored", restored },
	{ "twice", twice },
	{ "relocated", relocated },
	{ "ordinary", ordinary },
};

enum { ROLES = sizeof(roles) / sizeof(*roles) };

/* The launcher's output is somebody's who waits for its end. */
static void leave_output(void)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	need(nothing >= 0 && dup2(nothing, 0) == 0 && dup2(nothing, 1) == 1 &&
		     dup2(nothing, 2) == 2,
	     "/dev/null");
}

/* What is executed once more has a role already. */
static int play_later(const char *role)
{
	if (strcmp(role, "deleted") == 0)
		need(!unlink("/lab/intruder-deleted"), "unlink");
	if (strcmp(role, "replaced") == 0) {
		make_file("/proc/self/exe", "/lab/intruder-new");
		need(!rename("/lab/intruder-new", "/lab/intruder-replaced"), "rename");
	}
	if (strcmp(role, "traceless") == 0) {
		need(!unlink("/lab/traceless.so"), "unlink");
		wipe("LD_PRELOAD");
	}
	settle(role);
	return 0;
}

int main(int count, char **arguments)
{
	int ends[2];
	char word;

	if (count < 2)
		return 2;
	list = arguments[1];
	if (count > 2 && strncmp(arguments[2], "as ", 3) == 0)
		return play_later(arguments[2] + 3);
	need(!pipe2(ends, O_CLOEXEC), "pipe");
	for (int i = 0; i < ROLES; i++) {
		int child = fork();
		need(child >= 0, "fork");
		if (child == 0) {
			need(setsid() >= 0 && dup2(ends[1], READY_FD) == READY_FD, "dup2");
			leave_output();
			roles[i].play();
		}
		need(read(ends[0], &word, 1) == 1 && word == '.', roles[i].name);
	}
	return 0;
}
