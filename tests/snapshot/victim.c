/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A process that notices what is done to it. usage: victim MODE
 * It prints a line when it is ready, and on SIGTERM one line of JSON with what it has seen.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/rseq.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/rseq.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 512, CPUS = 1024 };

static volatile bool is_over;

static void ready(void)
{
	printf("ready\n");
	fflush(stdout);
}

static pthread_t start(void *(*run)(void *), void *argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, argument) != 0)
		abort();
	return thread;
}

/* SIGTERM is for the main thread, and blocked from the start. */
static void wait_for_end(void)
{
	sigset_t set;
	int number;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	ready();
	sigwait(&set, &number);
	is_over = true;
}

/* --- memory of all kinds, each page of it with its own letter */

static char *area(char letter, int flags, int advice)
{
	char *area = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	memset(area, letter, 4 * PAGE);
	if (advice)
		madvise(area, 4 * PAGE, advice);
	return area;
}

static void memory(void)
{
	char *plain = area('A', MAP_PRIVATE, 0);
	char *dontfork = area('B', MAP_PRIVATE, MADV_DONTFORK);
	char *wipeonfork = area('C', MAP_PRIVATE, MADV_WIPEONFORK);
	char *shared = area('D', MAP_SHARED, 0);
	char *unreadable = area('E', MAP_PRIVATE, 0);
	char *huge = mmap(NULL, (size_t)8 << 30, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	mprotect(unreadable, 4 * PAGE, PROT_NONE);
	huge[(size_t)4 << 30] = 'F';
	printf("{\"A\":%zu,\"B\":%zu,\"C\":%zu,\"D\":%zu,\"E\":%zu,\"F\":%zu}\n", (size_t)plain,
	       (size_t)dontfork, (size_t)wipeonfork, (size_t)shared, (size_t)unreadable,
	       (size_t)huge + ((size_t)4 << 30));
	wait_for_end();
	printf("{}\n");
}

/* --- pages that are written in order: at any instant, each is what its predecessor is, or one less */

static uint64_t (*pages)[PAGE / 8];

static void *write_pages(void *unused)
{
	for (uint64_t count = 1; !is_over; count++)
		for (size_t i = 0; i < PAGES; i++)
			*(volatile uint64_t *)&pages[i][i % (PAGE / 8)] = count;
	return NULL;
}

static void torn(void)
{
	pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	start(write_pages, NULL);
	printf("{\"pages\":%zu,\"count\":%d}\n", (size_t)pages, PAGES);
	wait_for_end();
	printf("{\"rounds\":%llu}\n", (unsigned long long)pages[0][0]);
}

/* --- calls that block, which nothing interrupts */

static atomic_uint_least64_t interrupted, early;
static int empty_pipe[2], lonely[2], listening, queue, semaphores, instance, notifier, locked;
static mqd_t messages;

typedef long call(void);

/* Another mask than the thread's, and yet without what is for the main thread. */
static sigset_t end_only(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	return set;
}

static long call_read(void)
{
	char byte;
	return read(empty_pipe[0], &byte, 1);
}

static long call_recv(void)
{
	char byte;
	return recv(lonely[0], &byte, 1, 0);
}

static long call_accept(void)
{
	return accept(listening, NULL, NULL);
}

static long call_epoll_wait(void)
{
	struct epoll_event event;
	return epoll_wait(instance, &event, 1, -1);
}

static long call_epoll_pwait(void)
{
	struct epoll_event event;
	sigset_t set = end_only();
	return epoll_pwait(instance, &event, 1, 3600000, &set);
}

static long call_poll(void)
{
	struct pollfd poll_file = { .fd = empty_pipe[0], .events = POLLIN };
	return poll(&poll_file, 1, 3600000);
}

static long call_ppoll(void)
{
	struct pollfd poll_file = { .fd = empty_pipe[0], .events = POLLIN };
	struct timespec hour = { .tv_sec = 3600 };
	sigset_t set = end_only();
	return ppoll(&poll_file, 1, &hour, &set);
}

static long call_select(void)
{
	struct timeval hour = { .tv_sec = 3600 };
	fd_set set;
	FD_ZERO(&set);
	FD_SET(empty_pipe[0], &set);
	return select(empty_pipe[0] + 1, &set, NULL, NULL, &hour);
}

static long call_nanosleep(void)
{
	struct timespec hour = { .tv_sec = 3600 };
	return nanosleep(&hour, NULL);
}

static long call_clock_nanosleep(void)
{
	struct timespec then;
	clock_gettime(CLOCK_MONOTONIC, &then);
	then.tv_sec += 3600;
	errno = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &then, NULL);
	return errno ? -1 : 0;
}

static long call_futex(void)
{
	static uint32_t word;
	struct timespec hour = { .tv_sec = 3600 };
	return syscall(SYS_futex, &word, FUTEX_WAIT, 0, &hour, NULL, 0);
}

static long call_sigtimedwait(void)
{
	struct timespec hour = { .tv_sec = 3600 };
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return sigtimedwait(&set, NULL, &hour);
}

static long call_semop(void)
{
	struct sembuf take = { .sem_op = -1 };
	return semop(semaphores, &take, 1);
}

static long call_semtimedop(void)
{
	struct sembuf take = { .sem_op = -1 };
	struct timespec hour = { .tv_sec = 3600 };
	return semtimedop(semaphores, &take, 1, &hour);
}

static long call_msgrcv(void)
{
	long message[4];
	return msgrcv(queue, message, 8, 0, 0);
}

static long call_mq_receive(void)
{
	char message[64];
	return mq_receive(messages, message, sizeof(message), NULL);
}

static long call_inotify(void)
{
	char event[4096];
	return read(notifier, event, sizeof(event));
}

static long call_flock(void)
{
	int file = open("/proc/self/exe", O_RDONLY);
	return flock(file, LOCK_EX);
}

static call *const calls[] = {
	call_read,       call_recv,         call_accept, call_epoll_wait, call_epoll_pwait,
	call_poll,       call_ppoll,        call_select, call_nanosleep,  call_clock_nanosleep,
	call_futex,      call_sigtimedwait, call_semop,  call_semtimedop, call_msgrcv,
	call_mq_receive, call_inotify,      call_flock,
};

static atomic_uint_least64_t broken; /* bits of calls */

static void *block(void *argument)
{
	size_t index = (size_t)argument;

	for (;;) {
		long result = calls[index]();
		if (result < 0 && errno == EINTR)
			interrupted++;
		else
			early++;
		broken |= UINT64_C(1) << index;
		usleep(1000);
	}
	return NULL;
}

static void blocked(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval hour = { .tv_sec = 3600 };

	if (pipe(empty_pipe) != 0 || socketpair(AF_UNIX, SOCK_DGRAM, 0, lonely) != 0)
		abort();
	setsockopt(lonely[0], SOL_SOCKET, SO_RCVTIMEO, &hour, sizeof(hour));
	listening = socket(AF_UNIX, SOCK_STREAM, 0);
	bind(listening, (struct sockaddr *)&address, sizeof(sa_family_t));
	listen(listening, 1);
	setsockopt(listening, SOL_SOCKET, SO_RCVTIMEO, &hour, sizeof(hour));
	instance = epoll_create1(0);
	notifier = inotify_init();
	semaphores = semget(IPC_PRIVATE, 1, 0600);
	queue = msgget(IPC_PRIVATE, 0600);
	struct mq_attr form = { .mq_maxmsg = 1, .mq_msgsize = 64 };
	messages = mq_open("/kioku-victim", O_RDONLY | O_CREAT, 0600, &form);
	mq_unlink("/kioku-victim");
	locked = open("/proc/self/exe", O_RDONLY);
	flock(locked, LOCK_EX);
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		start(block, (void *)i);
	usleep(200000);
	wait_for_end();
	printf("{\"interrupted\":%llu,\"early\":%llu,\"calls\":%llu}\n",
	       (unsigned long long)interrupted, (unsigned long long)early,
	       (unsigned long long)broken);
	semctl(semaphores, 0, IPC_RMID);
	msgctl(queue, IPC_RMID, NULL);
}

/* --- signals by the thousand, numbered; restartable sequences; registers; a child of its own */

static volatile uint64_t ticks, last_number, lost_signals;

static void on_tick(int number)
{
	ticks++;
}

static void on_number(int number, siginfo_t *info, void *context)
{
	uint64_t expected = last_number + 1;

	if ((uint64_t)info->si_value.sival_int != expected)
		lost_signals++;
	last_number = (uint64_t)info->si_value.sival_int;
}

static uint64_t sequence_counts[CPUS][8] __attribute__((aligned(64)));

static struct rseq *own_rseq(void)
{
	return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

/* Adds one to the count of the CPU it runs on; what is lost when an abort is, is that one. */
static void add_one(struct rseq *area)
{
	__asm__ volatile(".pushsection __rseq_cs, \"aw\"\n\t"
			 ".balign 32\n\t"
			 "3:\n\t.long 0, 0\n\t.quad 1f, 2f - 1f, 4f\n\t"
			 ".popsection\n\t"
			 "0:\n\t"
			 "leaq 3b(%%rip), %%rax\n\t"
			 "movq %%rax, %c[cs](%[area])\n\t"
			 "1:\n\t"
			 "movl %c[cpu](%[area]), %%ecx\n\t"
			 "shlq $6, %%rcx\n\t"
			 "movq (%[counts], %%rcx), %%rax\n\t"
			 "addq $1, %%rax\n\t"
			 "movq %%rax, (%[counts], %%rcx)\n\t"
			 "2:\n\t"
			 "jmp 5f\n\t"
			 ".long %c[signature]\n\t"
			 "4:\n\t"
			 "jmp 0b\n\t"
			 "5:\n\t"
			 :
			 : [area] "r"(area), [counts] "r"(sequence_counts),
			   [cs] "i"(offsetof(struct rseq, rseq_cs)),
			   [cpu] "i"(offsetof(struct rseq, cpu_id)), [signature] "i"(RSEQ_SIG)
			 : "rax", "rcx", "memory", "cc");
}

static atomic_uint_least64_t sequences_done;

static void *count_sequences(void *unused)
{
	struct rseq *area = own_rseq();
	uint64_t done = 0;

	while (!is_over) {
		for (int i = 0; i < 1000; i++)
			add_one(area);
		done += 1000;
	}
	sequences_done += done;
	return NULL;
}

static atomic_uint_least64_t bad_registers;

/* Values that only the kernel could change, while nothing but a loop goes on. */
static void *keep_registers(void *unused)
{
	while (!is_over) {
		uint64_t bad = 0;
		__asm__ volatile("movq $0x1111111111111111, %%r8\n\t"
				 "movq $0x2222222222222222, %%r9\n\t"
				 "movq $0x3333333333333333, %%r10\n\t"
				 "movq $0x4444444444444444, %%r12\n\t"
				 "movq $0x5555555555555555, %%r13\n\t"
				 "movq $0x6666666666666666, %%r14\n\t"
				 "movq %%r8, %%xmm3\n\t"
				 "movq %%r9, %%xmm15\n\t"
				 "movq $0x77, %%r11\n\t"
				 "movl $200000, %%ecx\n\t"
				 "1: subl $1, %%ecx\n\t"
				 "jnz 1b\n\t"
				 "cmpq $0x77, %%r11\n\t"
				 "jne 2f\n\t"
				 "movq $0x1111111111111111, %%rax\n\t"
				 "cmpq %%rax, %%r8\n\t"
				 "jne 2f\n\t"
				 "movq %%xmm3, %%rdx\n\t"
				 "cmpq %%rax, %%rdx\n\t"
				 "jne 2f\n\t"
				 "movq $0x2222222222222222, %%rax\n\t"
				 "cmpq %%rax, %%r9\n\t"
				 "jne 2f\n\t"
				 "movq %%xmm15, %%rdx\n\t"
				 "cmpq %%rax, %%rdx\n\t"
				 "jne 2f\n\t"
				 "movq $0x3333333333333333, %%rax\n\t"
				 "cmpq %%rax, %%r10\n\t"
				 "jne 2f\n\t"
				 "movq $0x4444444444444444, %%rax\n\t"
				 "cmpq %%rax, %%r12\n\t"
				 "jne 2f\n\t"
				 "movq $0x5555555555555555, %%rax\n\t"
				 "cmpq %%rax, %%r13\n\t"
				 "jne 2f\n\t"
				 "movq $0x6666666666666666, %%rax\n\t"
				 "cmpq %%rax, %%r14\n\t"
				 "je 3f\n\t"
				 "2: movq $1, %0\n\t"
				 "3:\n\t"
				 : "+r"(bad)
				 :
				 : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13",
				   "r14", "xmm3", "xmm15", "cc");
		bad_registers += bad;
	}
	return NULL;
}

static volatile uint64_t unknown_children, children;

static void on_child(int number)
{
	children++;
}

static size_t count_files(void)
{
	size_t count = 0;

	for (int file = 0; file < 256; file++)
		count += fcntl(file, F_GETFD) >= 0;
	return count;
}

static void busy(void)
{
	struct sigaction tick = { .sa_handler = on_tick, .sa_flags = SA_RESTART };
	struct sigaction numbered = { .sa_sigaction = on_number,
				      .sa_flags = SA_SIGINFO | SA_RESTART };
	struct sigaction child = { .sa_handler = on_child, .sa_flags = SA_RESTART };
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
	struct timespec moment = { .tv_nsec = 500000 };
	sigset_t end, mask, pending;
	stack_t stack = { .ss_sp = malloc(65536), .ss_size = 65536 }, now;
	bool has_rseq = __rseq_size > 0;
	int sent = 0;

	sigaltstack(&stack, NULL);
	sigaction(SIGALRM, &tick, NULL);
	sigaction(SIGRTMIN, &numbered, NULL);
	sigaction(SIGCHLD, &child, NULL);
	signal(SIGTRAP, SIG_IGN);
	/* Threads leave signals to this one. */
	sigfillset(&mask);
	pthread_sigmask(SIG_BLOCK, &mask, NULL);
	pthread_t sequences = has_rseq ? start(count_sequences, NULL) : 0;
	pthread_t registers = start(keep_registers, NULL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	raise(SIGUSR1); /* stays pending */
	setitimer(ITIMER_REAL, &often, NULL);
	size_t files = count_files();
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	ready();
	for (bool ended = false; !ended;) {
		if (sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = sent + 1 }) == 0)
			sent++;
		nanosleep(&moment, NULL);
		if (waitpid(-1, NULL, WNOHANG) > 0 || errno != ECHILD)
			unknown_children++;
		sigpending(&pending);
		ended = sigismember(&pending, SIGTERM);
	}
	is_over = true;
	if (has_rseq)
		pthread_join(sequences, NULL);
	pthread_join(registers, NULL);
	struct sigaction trap;
	uint64_t counted = 0;
	for (size_t i = 0; i < CPUS; i++)
		counted += sequence_counts[i][0];
	sigaction(SIGTRAP, NULL, &trap);
	sigaltstack(NULL, &now);
	pthread_sigmask(SIG_SETMASK, NULL, &pending);
	bool same_mask = memcmp(&pending, &mask, 8) == 0;
	sigpending(&pending);
	printf("{\"ticks\":%llu,\"sent\":%d,\"received\":%llu,\"lost\":%llu,\"rseq\":%lld,"
	       "\"registers\":%llu,\"children\":%llu,\"unknown\":%llu,\"mask\":%d,\"pending\":%d,"
	       "\"stack\":%d,\"trap\":%d,\"files\":%d}\n",
	       (unsigned long long)ticks, sent, (unsigned long long)last_number,
	       (unsigned long long)lost_signals, (long long)(sequences_done - counted),
	       (unsigned long long)bad_registers, (unsigned long long)children,
	       (unsigned long long)unknown_children, same_mask, sigismember(&pending, SIGUSR1),
	       now.ss_sp == stack.ss_sp, trap.sa_handler == SIG_IGN, count_files() == files);
}

/* --- those that cannot be taken in the ordinary way */

static void filtered(void)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_wait4, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { sizeof(rules) / sizeof(*rules), rules };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
		abort();
	wait_for_end();
	printf("{}\n");
}

static void *wait_in_place(void *unused)
{
	wait_for_end();
	printf("{}\n");
	fflush(stdout);
	_exit(0);
}

static void leaderless(void)
{
	start(wait_in_place, NULL);
	pthread_exit(NULL);
}

static void vforked(void)
{
	ready();
	if (vfork() == 0) {
		pause();
		_exit(0);
	}
}

static void *do_nothing(void *unused)
{
	return NULL;
}

static void *come_and_go(void *unused)
{
	pthread_t thread;

	while (!is_over) {
		if (pthread_create(&thread, NULL, do_nothing, NULL) == 0)
			pthread_join(thread, NULL);
	}
	return NULL;
}

static void storm(void)
{
	for (int i = 0; i < 4; i++)
		start(come_and_go, NULL);
	wait_for_end();
	printf("{}\n");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} modes[] = {
		{ "memory", memory },   { "torn", torn },         { "blocked", blocked },
		{ "busy", busy },       { "filtered", filtered }, { "leaderless", leaderless },
		{ "vforked", vforked }, { "storm", storm },
	};
	sigset_t end;

	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		if (argc == 2 && strcmp(argv[1], modes[i].name) == 0) {
			modes[i].run();
			return 0;
		}
	return 2;
}
