/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is known of live processes: of this one, and of children that the tests start. */
#include <elf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "snapshot/process.h"
#include "test_child.h"

static const char odd_name[] = "od\n) R \xff\x1b[";

static void knows_itself(void)
{
	AUTO_PROCESS struct process process;
	struct kioku_error error = { 0 };
	struct timespec now;

	CHECK(prctl(PR_SET_NAME, odd_name) == 0);
	CHECK_EQUAL(process_open(getpid(), &process, &error), KIOKU_OK);
	CHECK(process.pid == getpid() && process.live_thread == getpid());
	CHECK(strcmp(process.name, odd_name) == 0);
	CHECK(process.parent == getppid() && process.group == getpgrp());
	CHECK(process.session == getsid(0));
	CHECK(process.state == 'R' && process.threads == 1 && !process.is_exiting);
	CHECK(process.uids[0] == getuid() && process.uids[1] == geteuid());
	CHECK(process.gids[0] == getgid() && process.gids[3] == getegid());
	CHECK_EQUAL(process.tracer, 0);
	CHECK_EQUAL(process.word_size, sizeof(void *));
#ifdef __x86_64__
	CHECK_EQUAL(process.machine, EM_X86_64);
#endif
	CHECK_EQUAL(process.other_namespaces, 0);
	CHECK(process.namespaces[PROCESS_PID_NAMESPACE] != 0);
	CHECK(process.namespace_pid_count >= 1 && process.namespace_pids[0] == getpid());
	CHECK(!process.is_in_vfork && !process.is_uninterruptible);
	CHECK_EQUAL(process.policy, 0);
	clock_gettime(CLOCK_REALTIME, &now);
	CHECK(process.start_utc.tv_sec <= now.tv_sec &&
	      process.start_utc.tv_sec > now.tv_sec - 300);
	CHECK(process_is_current(&process));

	char label[PROCESS_LABEL_SIZE];
	process_label(&process, label);
	CHECK_SAYS(label, "od\\x0a) R \\xff\\x1b[ (");
}

static void maps_itself(void)
{
	AUTO_PROCESS struct process process;
	AUTO_MAPS struct process_maps maps = { 0 };
	struct kioku_error error = { 0 };
	static char page[3 * 4096];
	char *locked =
		mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(locked != MAP_FAILED && madvise(locked, 1 << 20, MADV_DONTFORK) == 0);
	memset(locked, 1, 40960);
	memset(page, 1, sizeof(page));
	CHECK_EQUAL(process_open(getpid(), &process, &error), KIOKU_OK);
	CHECK(process_maps_reserve(&maps, 4096));
	const void *text = maps.text.data, *list = maps.list.mappings;
	CHECK_EQUAL(process_mappings(&process, false, &maps, &error), KIOKU_OK);
	const struct mapping *found = mapping_list_find(&maps.list, (uintptr_t)page);
	CHECK(found && found->permissions == (PROT_READ | PROT_WRITE) && !found->is_shared);
	CHECK_EQUAL(found->flags, 0);
	CHECK(maps.text.data == text && maps.list.mappings == list);

	CHECK_EQUAL(process_mappings(&process, true, &maps, &error), KIOKU_OK);
	found = mapping_list_find(&maps.list, (uintptr_t)locked);
	CHECK(found);
	if (!(found->flags & MAPPING_FLAGS_KNOWN))
		SKIP("this kernel has no smaps");
	CHECK(found->flags & MAPPING_DONTFORK);
	CHECK(found->anonymous >= 40960 && found->resident >= 40960);
}

static void refuses_what_is_no_process(void)
{
	struct kioku_error error = { 0 };
	AUTO_PROCESS struct process nobody, negative, kernel_thread;

	CHECK_EQUAL(process_open(0, &negative, &error), KIOKU_ERROR_ARGUMENT);
	CHECK_EQUAL(process_open(INT32_MAX, &nobody, &error), KIOKU_ERROR_NOT_FOUND);
	CHECK_SAYS(error.message, "there is no process 2147483647");
	/* In a container 2 is anybody. */
	if (process_open(2, &kernel_thread, &error) == KIOKU_ERROR_REFUSED)
		CHECK_SAYS(error.message, "thread of the kernel");
}

static void *wait_forever(void *ready)
{
	say(*(int *)ready, (int32_t)syscall(SYS_gettid));
	for (;;)
		pause();
	return NULL;
}

static void run_thread(int ready)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, wait_forever, &ready) != 0)
		_exit(1);
	for (;;)
		pause();
}

static void refuses_a_thread(void)
{
	struct child child = start_child(run_thread);
	int32_t thread = await(&child);
	struct kioku_error error = { 0 };
	AUTO_PROCESS struct process process, of_thread;
	AUTO_NUMBERS struct number_list threads = { 0 };
	char expected[128];

	CHECK_EQUAL(process_open(thread, &of_thread, &error), KIOKU_ERROR_REFUSED);
	snprintf(expected, sizeof(expected),
		 "%d is no process, but a thread of process test_process (%d)", thread, child.pid);
	CHECK_SAYS(error.message, expected);
	CHECK_EQUAL(process_open(child.pid, &process, &error), KIOKU_OK);
	CHECK_EQUAL(process_threads(&process, &threads, &error), KIOKU_OK);
	CHECK_EQUAL(threads.count, 2);
	CHECK(number_list_has(&threads, thread) && number_list_has(&threads, child.pid));
	CHECK(!number_list_has(&threads, getpid()));
	end_child(&child);
}

static void run_leaderless(int ready)
{
	pthread_t thread;
	static int kept;

	kept = ready;
	if (pthread_create(&thread, NULL, wait_forever, &kept) != 0)
		_exit(1);
	syscall(SYS_exit, 0); /* of this thread only */
}

static void sees_past_an_exited_leader(void)
{
	struct child child = start_child(run_leaderless);
	int32_t thread = await(&child);
	struct kioku_error error = { 0 };
	AUTO_PROCESS struct process process;
	AUTO_MAPS struct process_maps maps = { 0 };

	await_state(child.pid, 'Z');
	CHECK_EQUAL(process_open(child.pid, &process, &error), KIOKU_OK);
	CHECK(process.state == 'Z' && process.live_thread == thread && process.threads == 2);
	CHECK_EQUAL(process.word_size, sizeof(void *));
	CHECK_EQUAL(process_mappings(&process, true, &maps, &error), KIOKU_OK);
	CHECK(mapping_list_find(&maps.list, (uintptr_t)run_leaderless));
	end_child(&child);
}

static void run_end(int ready)
{
	say(ready, 1);
	_exit(0);
}

static void run_wait(int ready)
{
	say(ready, 1);
}

static void knows_what_has_ended(void)
{
	struct child zombie = start_child(run_end), child = start_child(run_wait);
	struct kioku_error error = { 0 };
	AUTO_PROCESS struct process process, dead;
	AUTO_MAPS struct process_maps maps = { 0 };
	AUTO_NUMBERS struct number_list threads = { 0 };

	await(&zombie);
	await_state(zombie.pid, 'Z');
	CHECK_EQUAL(process_open(zombie.pid, &dead, &error), KIOKU_ERROR_REFUSED);
	CHECK_SAYS(error.message, "has ended: only its parent");
	end_child(&zombie);

	await(&child);
	CHECK_EQUAL(process_open(child.pid, &process, &error), KIOKU_OK);
	kill(child.pid, SIGKILL);
	await_state(child.pid, 'Z');
	CHECK(process_is_current(&process));
	CHECK_EQUAL(process_mappings(&process, false, &maps, &error), KIOKU_ERROR_NOT_FOUND);
	CHECK_EQUAL(process_refresh(&process, &error), KIOKU_ERROR_NOT_FOUND);
	end_child(&child);
	CHECK(!process_is_current(&process));
	CHECK_EQUAL(process_threads(&process, &threads, &error), KIOKU_ERROR_NOT_FOUND);
	CHECK_EQUAL(process_refresh(&process, &error), KIOKU_ERROR_NOT_FOUND);
	CHECK_SAYS(error.message, "has ended");
}

static void run_vfork(int ready)
{
	static int kept;

	kept = ready;
	pid_t pid = vfork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		say(kept, 1);
		pause();
		_exit(0);
	}
}

static void recognises_a_vfork(void)
{
	struct child child = start_child(run_vfork);
	struct kioku_error error = { 0 };
	AUTO_PROCESS struct process process;

	await(&child);
	await_state(child.pid, 'D');
	CHECK_EQUAL(process_open(child.pid, &process, &error), KIOKU_OK);
	CHECK(process.is_uninterruptible);
	AUTO_FILE_TEXT struct file_text text = { 0 };
	if (process_read(&process, "syscall", &text, &error) == KIOKU_OK)
		CHECK(process.is_in_vfork);
	end_child(&child);
}

static void run_traced(int ready)
{
	struct sock_filter allow = { .code = BPF_RET | BPF_K, .k = SECCOMP_RET_ALLOW };
	struct sock_fprog program = { 1, &allow };

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		_exit(1);
	say(ready, 1);
}

static void knows_a_tracer_and_a_filter(void)
{
	struct child child = start_child(run_traced);
	struct kioku_error error = { 0 };
	AUTO_PROCESS struct process process;

	await(&child);
	CHECK_EQUAL(process_open(child.pid, &process, &error), KIOKU_OK);
	CHECK_EQUAL(process.tracer, getpid());
	CHECK_EQUAL(process.seccomp, SECCOMP_MODE_FILTER);
	CHECK(process.no_new_privileges);
	end_child(&child);
}

static void run_elsewhere(int ready)
{
	int ends[2];
	char byte;

	say(ready, unshare(CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWNS));
	pid_t pid = pipe2(ends, O_CLOEXEC) == 0 && unshare(CLONE_NEWPID) == 0 ? fork() : -1;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[1]);
		return;
	}
	/* It would outlive this process otherwise, if that were killed before. */
	close(ends[1]);
	if (pid > 0 && read(ends[0], &byte, 1) != 0)
		_exit(1);
	say(ready, pid);
}

static void knows_other_namespaces(void)
{
	struct child child = start_child(run_elsewhere);
	struct kioku_error error = { 0 };
	AUTO_PROCESS struct process process, inner;

	if (await(&child) != 0)
		SKIP("no namespaces can be made here");
	int32_t inner_pid = await(&child);
	CHECK_EQUAL(process_open(child.pid, &process, &error), KIOKU_OK);
	CHECK_EQUAL(process.other_namespaces, 1u << PROCESS_NETWORK_NAMESPACE |
						      1u << PROCESS_UTS_NAMESPACE |
						      1u << PROCESS_MOUNT_NAMESPACE);
	if (inner_pid > 0) {
		CHECK_EQUAL(process_open(inner_pid, &inner, &error), KIOKU_OK);
		CHECK(inner.other_namespaces & 1u << PROCESS_PID_NAMESPACE);
		CHECK_EQUAL(inner.namespace_pid_count, process.namespace_pid_count + 1);
		CHECK_EQUAL(inner.namespace_pids[inner.namespace_pid_count - 1], 1);
	}
	end_child(&child);
}

#ifdef __x86_64__
/* An ELF file of i386: for (;;) pause(); */
static const uint8_t program_32[] = {
	/* header */
	0x7f, 'E', 'L', 'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 1, 0, 0, 0, 0x54, 0x80,
	0x04, 0x08, 0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x34, 0, 0x20, 0, 1, 0, 0, 0, 0, 0, 0, 0,
	/* segment: all of the file at 0x08048000 */
	1, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x04, 0x08, 0, 0x80, 0x04, 0x08, 0x5d, 0, 0, 0, 0x5d, 0, 0,
	0, 5, 0, 0, 0, 0, 0x10, 0, 0,
	/* mov $29, %eax; int $0x80; jmp to the first one */
	0xb8, 0x1d, 0, 0, 0, 0xcd, 0x80, 0xeb, 0xf7
};

static void run_32_bit(int ready)
{
	char *const nothing[] = { NULL };
	char path[64];
	int file = memfd_create("32", 0);

	if (write(file, program_32, sizeof(program_32)) != sizeof(program_32))
		_exit(1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	/* What is open for writing does not run. */
	int readable = open(path, O_RDONLY);
	close(file);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", readable);
	execve(path, nothing, nothing);
	say(ready, -1);
}

static void knows_a_program_of_32_bits(void)
{
	struct child child = start_child(run_32_bit);
	struct kioku_error error = { 0 };
	AUTO_PROCESS struct process process;
	char byte;

	if (read(child.ready, &byte, 1) != 0)
		SKIP("this kernel does not run programs of i386");
	CHECK_EQUAL(process_open(child.pid, &process, &error), KIOKU_OK);
	CHECK_EQUAL(process.word_size, 4);
	CHECK_EQUAL(process.machine, EM_386);
	end_child(&child);
}
#else
static void knows_a_program_of_32_bits(void)
{
	SKIP("only on x86-64");
}
#endif

TAP_MAIN(TEST(knows_itself), TEST(maps_itself), TEST(refuses_what_is_no_process),
	 TEST(refuses_a_thread), TEST(sees_past_an_exited_leader), TEST(knows_what_has_ended),
	 TEST(recognises_a_vfork), TEST(knows_a_tracer_and_a_filter), TEST(knows_other_namespaces),
	 TEST(knows_a_program_of_32_bits))
