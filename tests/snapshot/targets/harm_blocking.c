// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Calls that block. A stop lets some of them return EINTR, which programs that handle no signals do
 * not expect: bash, python and nginx have all been ended by it. None may, nor may a timeout be over
 * early; that it is over late (the call is made again in full) is allowed.
 */
#include "harm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT      (100 * MILLISECOND)
#define WAKING       (50 * MILLISECOND)
#define SLACK        (8 * MILLISECOND) /* a jiffy of 4 ms, and rounding */
#define LEFT_ALONE   (5 * MILLISECOND) /* a lock, so that who had it can take it back */
#define WOKEN_SIGNAL (SIGRTMIN + 5)
#define TIMED_SIGNAL (SIGRTMIN + 6)

unsigned long harm_call; /* from 1 on; 0: all of them */

enum { READ_END, WRITE_END };

static int epoll, silent[2], woken_pipe[2], full_pipe[2], listener, silent_listener;
static int lock_ours, lock_theirs, record_ours, record_theirs;
static int semaphores, messages, notifier;
static mqd_t queue, silent_queue;
static aio_context_t aio;
static atomic_int futex_silent, futex_woken;
static atomic_int signal_thread;  /* that waits for WOKEN_SIGNAL; 0: none does yet */
static atomic_uint woken_threads; /* that block until somebody wakes them */
static struct sockaddr_un address;
static socklen_t address_size = sizeof(address);

static const struct timespec timeout = { 0, TIMEOUT };
static char page[PAGE]; /* a pipe is full of it */

static long call_epoll_wait(void)
{
	struct epoll_event event;

	return syscall(SYS_epoll_wait, epoll, &event, 1, TIMEOUT / MILLISECOND);
}

static long call_epoll_pwait(void)
{
	struct epoll_event event;
	sigset_t set; /* another than that of the thread, which blocks more */

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	return syscall(SYS_epoll_pwait, epoll, &event, 1, TIMEOUT / MILLISECOND, &set, 8);
}

static long call_recv(void)
{
	char byte;

	return recv(silent[0], &byte, 1, 0);
}

static long call_recvmsg(void)
{
	struct msghdr message = { 0 };

	return recvmsg(silent[0], &message, 0);
}

static long call_timed_accept(void)
{
	return accept(silent_listener, NULL, NULL);
}

static long call_sigtimedwait(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, TIMED_SIGNAL);
	return sigtimedwait(&set, NULL, &timeout);
}

static long call_semtimedop(void)
{
	struct sembuf take = { 0, -1, 0 };

	return semtimedop(semaphores, &take, 1, &timeout);
}

static long call_nanosleep(void)
{
	return syscall(SYS_nanosleep, &timeout, NULL);
}

static long call_clock_nanosleep(void)
{
	return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &timeout, NULL);
}

static long call_clock_nanosleep_absolute(void)
{
	long end = target_now() + TIMEOUT;
	struct timespec until = { end / SECOND, end % SECOND };

	return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static long call_poll(void)
{
	struct pollfd wanted = { silent[0], POLLIN, 0 };

	return syscall(SYS_poll, &wanted, 1, TIMEOUT / MILLISECOND);
}

static long call_ppoll(void)
{
	struct pollfd wanted = { silent[0], POLLIN, 0 };
	struct timespec left = timeout;

	return syscall(SYS_ppoll, &wanted, 1, &left, NULL, 8);
}

static long call_select(void)
{
	struct timeval left = { 0, TIMEOUT / 1000 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(silent[0], &set);
	return syscall(SYS_select, silent[0] + 1, &set, NULL, NULL, &left);
}

static long call_pselect(void)
{
	struct timespec left = timeout;
	fd_set set;

	FD_ZERO(&set);
	FD_SET(silent[0], &set);
	return syscall(SYS_pselect6, silent[0] + 1, &set, NULL, NULL, &left, NULL);
}

static long call_timed_futex(void)
{
	return syscall(SYS_futex, &futex_silent, FUTEX_WAIT_PRIVATE, 0, &timeout, NULL, 0);
}

static long call_mq_timedreceive(void)
{
	struct timespec until;
	char text[8];

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += TIMEOUT;
	until.tv_sec += until.tv_nsec / SECOND;
	until.tv_nsec %= SECOND;
	return mq_timedreceive(silent_queue, text, sizeof(text), NULL, &until);
}

static long call_io_getevents(void)
{
	struct timespec left = timeout;
	struct io_event event;

	return syscall(SYS_io_getevents, aio, 1, 1, &event, &left);
}

/* Those that wait without end; what wakes them is below. */

static long call_read(void)
{
	char byte;

	return read(woken_pipe[READ_END], &byte, 1);
}

static long call_write(void)
{
	return write(full_pipe[WRITE_END], page, sizeof(page));
}

static long call_semop(void)
{
	struct sembuf take = { 1, -1, 0 };

	return semop(semaphores, &take, 1);
}

static long call_msgrcv(void)
{
	struct {
		long type;
		char text[8];
	} message;

	return msgrcv(messages, &message, sizeof(message.text), 0, 0);
}

static long call_accept(void)
{
	int fd = accept(listener, NULL, NULL);

	if (fd >= 0)
		close(fd);
	return fd;
}

static long call_mq_receive(void)
{
	char text[8];

	return mq_receive(queue, text, sizeof(text), NULL);
}

static long call_futex(void)
{
	int seen = futex_woken;
	long result = syscall(SYS_futex, &futex_woken, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);

	return result == -1 && errno == EAGAIN ? 0 : result; /* it was woken before it slept */
}

static long call_sigwaitinfo(void)
{
	sigset_t set;

	signal_thread = gettid();
	sigemptyset(&set);
	sigaddset(&set, WOKEN_SIGNAL);
	return sigwaitinfo(&set, NULL);
}

static long call_flock(void)
{
	long result = flock(lock_ours, LOCK_EX);

	if (result == 0) {
		flock(lock_ours, LOCK_UN);
		target_sleep(LEFT_ALONE);
	}
	return result;
}

static long set_record_lock(int fd, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_len = 1 };

	return fcntl(fd, F_OFD_SETLKW, &lock);
}

static long call_fcntl(void)
{
	long result = set_record_lock(record_ours, F_WRLCK);

	if (result == 0) {
		set_record_lock(record_ours, F_UNLCK);
		target_sleep(LEFT_ALONE);
	}
	return result;
}

static long call_wait4(void)
{
	pid_t child = fork(), result;
	int status, error;

	if (child == 0) {
		target_sleep(WAKING);
		_exit(7);
	}
	result = wait4(child, &status, 0, NULL);
	error = errno;
	if (child > 0 && result == child && (!WIFEXITED(status) || WEXITSTATUS(status) != 7))
		target_fault("a child ended with %#x", (unsigned)status);
	if (result == -1 && error == EINTR) /* found; it has to be reaped all the same */
		waitpid(child, NULL, 0);
	errno = error;
	return result;
}

static long call_inotify(void)
{
	struct inotify_event event;

	return read(notifier, &event, sizeof(event));
}

/* error is the one that is expected, and 0 if none is; those that are timed take TIMEOUT. */
static const struct call {
	const char *name;
	long (*make)(void);
	bool timed;
	int error;
} calls[] = {
	{ "epoll_wait", call_epoll_wait, true, 0 },
	{ "epoll_pwait", call_epoll_pwait, true, 0 },
	{ "recv", call_recv, true, EAGAIN },
	{ "recvmsg", call_recvmsg, true, EAGAIN },
	{ "accept with a timeout", call_timed_accept, true, EAGAIN },
	{ "sigtimedwait", call_sigtimedwait, true, EAGAIN },
	{ "semtimedop", call_semtimedop, true, EAGAIN },
	{ "nanosleep", call_nanosleep, true, 0 },
	{ "clock_nanosleep", call_clock_nanosleep, true, 0 },
	{ "clock_nanosleep until", call_clock_nanosleep_absolute, true, 0 },
	{ "poll", call_poll, true, 0 },
	{ "ppoll", call_ppoll, true, 0 },
	{ "select", call_select, true, 0 },
	{ "pselect", call_pselect, true, 0 },
	{ "futex with a timeout", call_timed_futex, true, ETIMEDOUT },
	{ "mq_timedreceive", call_mq_timedreceive, true, ETIMEDOUT },
	{ "io_getevents", call_io_getevents, true, 0 },
	{ "read", call_read, false, 0 },
	{ "write", call_write, false, 0 },
	{ "semop", call_semop, false, 0 },
	{ "msgrcv", call_msgrcv, false, 0 },
	{ "accept", call_accept, false, 0 },
	{ "mq_receive", call_mq_receive, false, 0 },
	{ "futex", call_futex, false, 0 },
	{ "sigwaitinfo", call_sigwaitinfo, false, 0 },
	{ "flock", call_flock, false, 0 },
	{ "fcntl lock", call_fcntl, false, 0 },
	{ "wait4", call_wait4, false, 0 },
	{ "inotify", call_inotify, false, 0 },
};

#define CALLS (sizeof(calls) / sizeof(calls[0]))

static atomic_ulong made;

static void run_call(const struct call *call)
{
	woken_threads += !call->timed;
	while (target_goes_on()) {
		long began = target_now(), result, took;
		int error;

		errno = 0;
		result = call->make();
		error = errno;
		took = target_now() - began;
		if (!target_goes_on()) /* the signal that ends us does end calls */
			break;
		made++;
		if (call->error == 0 ? result < 0 : result != -1 || error != call->error)
			target_fault("%s: %ld, %s", call->name, result, strerror(error));
		else if (call->timed && took < TIMEOUT - SLACK)
			target_fault("%s was over after %ld us", call->name, took / 1000);
	}
	woken_threads -= !call->timed;
}

static void wake_by_messages(void)
{
	const struct {
		long type;
		char text[8];
	} message = { 1, "" };
	struct sembuf give = { 1, 1, IPC_NOWAIT };
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const struct timespec at_once = { 0, 0 };
	char drained[PAGE];
	ssize_t unused;

	semop(semaphores, &give, 1);
	msgsnd(messages, &message, sizeof(message.text), IPC_NOWAIT);
	mq_timedsend(queue, message.text, sizeof(message.text), 0, &at_once);
	connect(client, (struct sockaddr *)&address, address_size);
	close(client);
	close(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	unused = write(woken_pipe[WRITE_END], "", 1);
	unused = read(full_pipe[READ_END], drained, sizeof(drained));
	(void)unused;
}

static void wake(void)
{
	wake_by_messages();
	futex_woken++;
	syscall(SYS_futex, &futex_woken, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	if (signal_thread != 0)
		syscall(SYS_tgkill, getpid(), signal_thread, WOKEN_SIGNAL);
	flock(lock_theirs, LOCK_UN);
	set_record_lock(record_theirs, F_UNLCK);
	target_sleep(MILLISECOND);
	flock(lock_theirs, LOCK_EX);
	set_record_lock(record_theirs, F_WRLCK);
}

/* Nothing here blocks: pipes and queues overflow if the call that they are for is not made. */
static void run_waker(void)
{
	target_sleep(MILLISECOND);
	while (target_goes_on() || woken_threads > 0) {
		wake();
		target_sleep(WAKING);
	}
}

static void blocking_run(unsigned index)
{
	bool needs_waker = harm_call == 0 || !calls[harm_call - 1].timed;

	if (index == CALLS) {
		if (needs_waker)
			run_waker();
	} else if (harm_call == 0) {
		run_call(&calls[index]);
	} else if (index == 0) {
		run_call(&calls[harm_call - 1]);
	}
}

static int listen_somewhere(void)
{
	struct sockaddr_un any = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* A name that is not given: the kernel finds one in the abstract name space. */
	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(sa_family_t)) != 0 ||
	    listen(fd, 64) != 0)
		target_die("listen");
	return fd;
}

static mqd_t open_queue(const char *which)
{
	struct mq_attr attributes = { .mq_maxmsg = 4, .mq_msgsize = 8 };
	char name[64];
	mqd_t opened;

	snprintf(name, sizeof(name), "/kioku-harm-%d-%s", (int)getpid(), which);
	opened = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
	if (opened == (mqd_t)-1)
		target_skip("POSIX message queues are not there");
	mq_unlink(name);
	return opened;
}

/* Two open file descriptions of one file, so that a lock of one keeps the other out. */
static void open_twice(const char *name, int *one, int *other)
{
	char path[64];

	*one = memfd_create(name, MFD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", *one);
	*other = open(path, O_RDWR | O_CLOEXEC);
	if (*one < 0 || *other < 0)
		target_die("a file to lock");
}

static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, WOKEN_SIGNAL);
	sigaddset(&set, TIMED_SIGNAL);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static void open_pipes(void)
{
	struct timeval limit = { 0, TIMEOUT / 1000 };

	if (pipe2(woken_pipe, O_CLOEXEC) != 0 || pipe2(full_pipe, O_CLOEXEC | O_NONBLOCK) != 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, silent) != 0)
		target_die("pipe");
	setsockopt(silent[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(silent_listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	fcntl(woken_pipe[WRITE_END], F_SETFL, O_NONBLOCK);
	fcntl(full_pipe[WRITE_END], F_SETPIPE_SZ, PAGE);
	while (write(full_pipe[WRITE_END], page, sizeof(page)) > 0)
		;
	fcntl(full_pipe[WRITE_END], F_SETFL, 0);
}

static void remove_queues(void)
{
	semctl(semaphores, 0, IPC_RMID);
	msgctl(messages, IPC_RMID, NULL);
}

static void blocking_begin(void)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (harm_call > CALLS) {
		errno = EINVAL;
		target_die("--call");
	}
	block_signals();
	listener = listen_somewhere();
	silent_listener = listen_somewhere();
	getsockname(listener, (struct sockaddr *)&address, &address_size);
	open_pipes();
	epoll = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(epoll, EPOLL_CTL_ADD, silent[0], &event);
	notifier = inotify_init1(IN_CLOEXEC);
	if (inotify_add_watch(notifier, "/proc/self/exe", IN_OPEN) < 0)
		target_die("inotify");
	open_twice("flock", &lock_ours, &lock_theirs);
	open_twice("record", &record_ours, &record_theirs);
	flock(lock_theirs, LOCK_EX);
	set_record_lock(record_theirs, F_WRLCK);
	queue = open_queue("woken");
	silent_queue = open_queue("silent");
	semaphores = semget(IPC_PRIVATE, 2, 0600);
	messages = msgget(IPC_PRIVATE, 0600);
	if (semaphores < 0 || messages < 0 || syscall(SYS_io_setup, 1, &aio) != 0)
		target_skip("System V IPC or AIO is not there");
	atexit(remove_queues);
}

static void blocking_check(void)
{
	target_count("calls", made);
	target_count("known_calls", CALLS);
}

const struct harm_part harm_blocking = {
	.name = "blocking",
	.threads = CALLS + 1,
	.begin = blocking_begin,
	.run = blocking_run,
	.check = blocking_check,
};
