/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The launcher: starts one process for each odd thing that a memory image must show rightly,
 * waits until each of them is settled, and leaves. From then on all of them sleep.
 *
 * /run/roles then says which process plays which role.
 */
#define _GNU_SOURCE
#include "activity.h"

#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_FD 100 /* the launcher's pipe; the same number in every process, across exec too */

void need(int good, const char *what)
{
	if (!good) {
		fprintf(stderr, "activity: %s: %m\n", what);
		(void)!write(READY_FD, "!", 1);
		_exit(1);
	}
}

void record(const char *file, const char *format, ...)
{
	char path[64];
	va_list arguments;

	snprintf(path, sizeof path, "/run/%s", file);
	FILE *stream = fopen(path, "a");
	need(stream != NULL, path);
	va_start(arguments, format);
	vfprintf(stream, format, arguments);
	va_end(arguments);
	fclose(stream);
}

int offers(const char *path)
{
	return access(path, F_OK) == 0;
}

int namespaces_of(int kinds)
{
	static const struct {
		int kind;
		const char *path;
	} known[] = {
		{ CLONE_NEWPID, "/proc/self/ns/pid" },   { CLONE_NEWUTS, "/proc/self/ns/uts" },
		{ CLONE_NEWIPC, "/proc/self/ns/ipc" },   { CLONE_NEWNET, "/proc/self/ns/net" },
		{ CLONE_NEWUSER, "/proc/self/ns/user" }, { CLONE_NEWCGROUP, "/proc/self/ns/cgroup" }
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!offers(known[i].path))
			kinds &= ~known[i].kind;
	return kinds;
}

void ready(void)
{
	need(write(READY_FD, ".", 1) == 1, "tell the launcher");
	close(READY_FD);
}

void rest(void)
{
	for (;;)
		pause();
}

static void __attribute__((noreturn)) settle(const char *role)
{
	record("roles", "%s %d\n", role, getpid());
	ready();
	rest();
}

/* --- what a process can be */

static void *named_thread(void *name)
{
	prctl(PR_SET_NAME, name);
	rest();
}

static void start_threads(const char *names[], int count)
{
	pthread_attr_t small;
	pthread_t thread;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	for (int i = 0; i < count; i++)
		need(!pthread_create(&thread, &small, named_thread, (void *)names[i]), "thread");
	usleep(100000); /* each names itself before it rests */
}

static void threads(void)
{
	static const char *names[] = { "worker-alpha", "worker-beta", "worker-gamma",
				       "worker-delta", "exactly-15-char" };
	prctl(PR_SET_NAME, "threads");
	start_threads(names, 5);
	settle("threads");
}

/* The main thread ends, its process does not: the leader is a zombie with living threads. */
static void leaderless(void)
{
	static const char *names[] = { "orphan-one", "orphan-two" };

	prctl(PR_SET_NAME, "leaderless");
	start_threads(names, 2);
	record("roles", "leaderless %d\n", getpid());
	ready();
	pthread_exit(NULL);
}

/* Runs again under another path, as a process that main() below dispatches on. */
static void execute(const char *path, const char *argument)
{
	char *environment[] = { "PATH=/bin", "KIOKU_ENVIRONMENT=kioku-environment-0123456789",
				NULL };
	execle(path, path, argument, NULL, environment);
	need(0, path);
}

static void copy_self(int to)
{
	char buffer[65536];
	ssize_t size;
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	need(from >= 0 && to >= 0, "copy the program");
	while ((size = read(from, buffer, sizeof buffer)) > 0)
		need(write(to, buffer, (size_t)size) == size, "copy the program");
	close(from);
}

static void deleted(void)
{
	int file = open("/lab/deleted-program", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	copy_self(file);
	close(file);
	execute("/lab/deleted-program", "deleted");
}

/* An executable that never had a path: the usual way to run without touching a file system. */
static void memfd(void)
{
	char path[32];
	int file = memfd_create("kioku-memfd", 0);

	copy_self(file);
	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	/* A copy opened for writing cannot be executed. */
	int reopened = open(path, O_RDONLY);
	close(file);
	snprintf(path, sizeof path, "/proc/self/fd/%d", reopened);
	execute(path, "memfd");
}

static void impostor(void)
{
	execute("/bin/activity", "impostor");
}

static void __attribute__((noreturn)) named(const char *role, const char *name)
{
	prctl(PR_SET_NAME, name);
	settle(role);
}

static void escape_comm(void)
{
	named("escape-comm", "\033[31mRED\033[0m");
}

static void title_comm(void)
{
	named("title-comm", "\033]0;owned\a\r\b");
}

/* Written to mislead a parser of /proc/PID/stat, which shows "PID (comm) state ppid ...". */
static void newline_comm(void)
{
	named("newline-comm", "a) Z 1\n2 (b c");
}

static void invalid_comm(void)
{
	named("invalid-comm", "\xff\xfe\xc3(\xe2\x82\x80");
}

static void empty_comm(void)
{
	named("empty-comm", "");
}

static void become(uid_t real, uid_t effective, uid_t saved, gid_t group, gid_t effective_group)
{
	need(!setgroups(0, NULL), "setgroups");
	need(!setresgid(group, effective_group, group), "setresgid");
	need(!setresuid(real, effective, saved), "setresuid");
}

static void user(void)
{
	prctl(PR_SET_NAME, "user");
	record("roles", "user %d\n", getpid()); /* afterwards /run cannot be written */
	become(1000, 1000, 1000, 1001, 1001);
	ready();
	rest();
}

/* As after a setuid program has dropped and may take back: all of the ids differ. */
static void split_user(void)
{
	prctl(PR_SET_NAME, "split-user");
	record("roles", "split-user %d\n", getpid());
	become(1000, 2000, 0, 1001, 2001);
	ready();
	rest();
}

static void stopped(void)
{
	pid_t child = fork();
	if (!child) {
		prctl(PR_SET_NAME, "stopped");
		rest();
	}
	usleep(100000);
	kill(child, SIGSTOP);
	need(waitpid(child, NULL, WUNTRACED) == child, "stop a child");
	record("roles", "stopped %d\n", child);
	settle("stopped-parent");
}

static void traced(void)
{
	pid_t child = fork();
	if (!child) {
		prctl(PR_SET_NAME, "traced");
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		rest();
	}
	need(waitpid(child, NULL, 0) == child, "trace a child");
	record("roles", "traced %d\n", child);
	settle("tracer");
}

static void zombie(void)
{
	siginfo_t ended;
	pid_t child = fork();
	if (!child) {
		prctl(PR_SET_NAME, "zombie");
		_exit(7);
	}
	need(!waitid(P_PID, (id_t)child, &ended, WEXITED | WNOWAIT), "wait for the zombie");
	record("roles", "zombie %d\n", child);
	settle("zombie-parent");
}

/* A parent sleeps in state D until its vfork child executes something; this one never does. */
static void vfork_parent(void)
{
	prctl(PR_SET_NAME, "vfork-parent");
	record("roles", "vfork-parent %d\n", getpid());
	if (!vfork()) {
		prctl(PR_SET_NAME, "vfork-child");
		ready();
		rest();
	}
}

static void chain(void)
{
	char name[16];
	for (int depth = 0; depth < 12; depth++) {
		snprintf(name, sizeof name, "chain-%d", depth);
		prctl(PR_SET_NAME, name);
		if (depth < 11 && fork())
			rest();
	}
	settle("chain-end");
}

/* Process 1 of its own pid namespace: its two pids differ. */
static void namespaced(void)
{
	const int kinds = namespaces_of(CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWNS);

	need(!unshare(kinds), "unshare");
	pid_t child = fork();
	if (!child) {
		prctl(PR_SET_NAME, "namespaced");
		if (kinds & CLONE_NEWUTS)
			sethostname("kioku-inner", 11);
		ready();
		rest();
	}
	record("roles", "namespaced %d\n", child);
	rest();
}

static void marker(void)
{
	execute("/bin/activity", "marker");
}

static void files(void)
{
	prctl(PR_SET_NAME, "files");
	hold_files();
	settle("files");
}

static void sockets(void)
{
	prctl(PR_SET_NAME, "sockets");
	hold_sockets();
	settle("sockets");
}

static void descriptors(void)
{
	prctl(PR_SET_NAME, "descriptors");
	hold_descriptors();
	settle("descriptors");
}

static void mounts(void)
{
	prctl(PR_SET_NAME, "mounts");
	record("roles", "mounts %d\n", getpid());
	hold_mounts();
	ready();
	rest();
}

static void other_root(void)
{
	prctl(PR_SET_NAME, "other-root");
	record("roles", "other-root %d\n", getpid()); /* afterwards there is no /run */
	hold_other_root();
	ready();
	rest();
}

static void network(void)
{
	prctl(PR_SET_NAME, "network");
	hold_network();
	settle("network");
}

static void sleepers(void)
{
	prctl(PR_SET_NAME, "sleepers");
	hold_sleepers();
	settle("sleepers");
}

static void timers(void)
{
	prctl(PR_SET_NAME, "timers");
	hold_timers();
	settle("timers");
}

static void vectors(void)
{
	prctl(PR_SET_NAME, "vectors");
	record("roles", "vectors %d\n", getpid());
	ready();
	hold_vectors();
}

static void capabilities(void)
{
	prctl(PR_SET_NAME, "capabilities");
	record("roles", "capabilities %d\n", getpid());
	hold_capabilities();
	ready();
	rest();
}

static void strict(void)
{
	prctl(PR_SET_NAME, "strict");
	record("roles", "strict %d\n", getpid());
	hold_strictly();
}

static void cgroups(void)
{
	prctl(PR_SET_NAME, "cgroups");
	record("roles", "cgroups %d\n", getpid());
	hold_cgroups();
	ready();
	rest();
}

static void namespaces(void)
{
	prctl(PR_SET_NAME, "namespaces");
	hold_namespaces();
	record("roles", "namespaces %d\n", getpid());
	if (offers("/proc/self/ns/user")) {
		if (fork())
			rest();
		prctl(PR_SET_NAME, "user-namespace");
		record("roles", "user-namespace %d\n", getpid());
		hold_user_namespace();
	}
	ready();
	rest();
}

/* What runs, and the paths of what it needs of a kernel that not every one has. */
static const struct {
	void (*run)(void);
	const char *needs[2];
} activities[] = {
	{ threads, { NULL } },
	{ leaderless, { NULL } },
	{ deleted, { NULL } },
	{ memfd, { NULL } },
	{ impostor, { NULL } },
	{ escape_comm, { NULL } },
	{ title_comm, { NULL } },
	{ newline_comm, { NULL } },
	{ invalid_comm, { NULL } },
	{ empty_comm, { NULL } },
	{ user, { NULL } },
	{ split_user, { NULL } },
	{ stopped, { NULL } },
	{ traced, { NULL } },
	{ zombie, { NULL } },
	{ vfork_parent, { NULL } },
	{ chain, { NULL } },
	{ namespaced, { "/proc/self/ns/pid" } },
	{ marker, { NULL } },
	{ files, { NULL } },
	{ sockets, { NULL } },
	{ descriptors, { NULL } },
	{ mounts, { NULL } },
	{ other_root, { NULL } },
	{ sleepers, { NULL } },
	{ vectors, { NULL } },
	{ capabilities, { NULL } },
	{ strict, { NULL } },
	{ cgroups, { "/sys/fs/cgroup" } },
	{ namespaces, { NULL } },
	{ network, { "/proc/self/ns/net", "/proc/net/tcp" } },
	{ timers, { NULL } },
};
enum { ACTIVITIES = sizeof activities / sizeof *activities };

/* --- the processes that run after an exec */

static void __attribute__((noreturn)) executed(int count, char *arguments[])
{
	const char *role = arguments[1];

	if (!strcmp(role, "impostor")) {
		/* The argument area now reads as a kernel thread's name in brackets. */
		char *last = arguments[count - 1];
		memset(arguments[0], 0, (size_t)(last + strlen(last) - arguments[0]));
		strcpy(arguments[0], "[kworker/0:0]");
		named("impostor", "kworker/0:0");
	}
	prctl(PR_SET_NAME, role);
	if (!strcmp(role, "deleted"))
		need(!unlink("/lab/deleted-program"), "unlink");
	if (!strcmp(role, "marker"))
		hold_memory();
	settle(role);
}

static int can_run(int activity)
{
	for (int i = 0; i < 2; i++)
		if (activities[activity].needs[i] && !offers(activities[activity].needs[i]))
			return 0;
	return 1;
}

int main(int count, char *arguments[])
{
	int pipe_ends[2], started = 0;
	char dot;

	if (count > 1)
		executed(count, arguments);
	need(!pipe(pipe_ends) && dup2(pipe_ends[1], READY_FD) == READY_FD, "pipe");
	close(pipe_ends[1]);
	for (int i = 0; i < ACTIVITIES; i++) {
		if (!can_run(i))
			continue;
		started++;
		if (!fork()) {
			close(pipe_ends[0]);
			activities[i].run();
		}
	}
	for (int i = 0; i < started; i++) {
		if (read(pipe_ends[0], &dot, 1) != 1 || dot != '.')
			return 1; /* the one that failed said why */
	}
	return 0;
}
