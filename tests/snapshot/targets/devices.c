// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * usage: devices pinned|rings|workers|waiting|direct|shared FILE
 * A process to whose memory is written past its page tables: into a buffer that io_uring has hold of (pinned), into
 * rings that are in its own memory, or by a read with O_DIRECT; or (workers) to which threads of the kernel's that are
 * among its own write as it would itself. Each millisecond it writes the number of the round all over the file, and
 * reads the file into its buffer; while it is at rest, all of that has the number, and so many completions are in its
 * ring. With O_DIRECT it only does so once, as a disk takes its time. "ready" says where its account is, a struct
 * account, which test_consistency.py reads.
 * waiting: such a thread waits in its place for the other end of FILE, a fifo, to be opened.
 * shared: it reads the file's beginning, which must be there, again and again with O_DIRECT into a page of which it
 * writes another part all the time; what has been read must have arrived.
 */
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SIZE = 64 * PAGE, WORDS = SIZE / sizeof(uint64_t), WAIT = 20 * MILLISECOND };

struct account {
	volatile uint64_t at_rest, round, size; /* size of the buffer, in bytes */
	uint64_t *buffer;
	const uint32_t
		*completions; /* how many there are in a ring of its own; NULL: there is none */
};

/* include/uapi/linux/io_uring.h, Linux 6.5: headers may be older than the kernel. */
#define SETUP_NO_MMAP (1U << 14)

/* As io_uring_setup(2) has it; of one request at a time. */
struct ring {
	int descriptor;
	bool has_buffer, has_workers;
	struct io_uring_params about;
	uint8_t *submitted, *completed;
	struct io_uring_sqe *requests;
};

static struct ring ring;

static void *map_ring(size_t size, off_t what)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring.descriptor, what);

	if (memory == MAP_FAILED)
		target_die("mmap of a ring");
	return memory;
}

static void register_buffer(const struct account *account)
{
	const struct iovec buffer = { account->buffer, SIZE };

	if (syscall(SYS_io_uring_register, ring.descriptor, IORING_REGISTER_BUFFERS, &buffer, 1) !=
	    0)
		target_skip("no buffers may be registered");
	ring.has_buffer = true;
}

static void open_ring(void)
{
	struct io_uring_params *about = &ring.about;

	ring.descriptor = (int)syscall(SYS_io_uring_setup, 1, about);
	if (ring.descriptor < 0)
		target_skip("io_uring is not allowed");
	ring.submitted = map_ring(about->sq_off.array + about->sq_entries * sizeof(uint32_t),
				  IORING_OFF_SQ_RING);
	ring.completed =
		map_ring(about->cq_off.cqes + about->cq_entries * sizeof(struct io_uring_cqe),
			 IORING_OFF_CQ_RING);
	ring.requests = map_ring(about->sq_entries * sizeof(*ring.requests), IORING_OFF_SQES);
}

static void open_own_ring(struct account *account)
{
	struct io_uring_params *about = &ring.about;

	ring.submitted = ring.completed = target_map(PAGE);
	ring.requests = target_map(PAGE);
	about->flags = SETUP_NO_MMAP;
	/* Where they are: the last field of each. */
	((uint64_t *)&about->cq_off)[sizeof(about->cq_off) / sizeof(uint64_t) - 1] =
		(uintptr_t)ring.completed;
	((uint64_t *)&about->sq_off)[sizeof(about->sq_off) / sizeof(uint64_t) - 1] =
		(uintptr_t)ring.requests;
	ring.descriptor = (int)syscall(SYS_io_uring_setup, 1, about);
	if (ring.descriptor < 0)
		target_skip("no io_uring may have its rings in memory of its user");
	account->completions = (uint32_t *)(ring.completed + about->cq_off.tail);
}

static uint32_t *word_of(uint8_t *memory, uint32_t offset)
{
	return (uint32_t *)(memory + offset);
}

/* What a request ended with. */
static int request(const struct io_uring_sqe *wanted)
{
	const struct io_sqring_offsets *in = &ring.about.sq_off;
	const struct io_cqring_offsets *out = &ring.about.cq_off;
	const struct io_uring_cqe *results =
		(const struct io_uring_cqe *)(ring.completed + out->cqes);
	uint32_t tail = *word_of(ring.submitted, in->tail);
	uint32_t at = tail & *word_of(ring.submitted, in->ring_mask);
	uint32_t head = *word_of(ring.completed, out->head), submit = 1;

	ring.requests[at] = *wanted;
	word_of(ring.submitted, in->array)[at] = at;
	__atomic_store_n(word_of(ring.submitted, in->tail), tail + 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(word_of(ring.completed, out->tail), __ATOMIC_ACQUIRE) == head) {
		if (syscall(SYS_io_uring_enter, ring.descriptor, submit, 1, IORING_ENTER_GETEVENTS,
			    NULL, 0) < 0 &&
		    errno != EINTR)
			target_die("io_uring_enter");
		submit = *word_of(ring.submitted, in->tail) !=
			 __atomic_load_n(word_of(ring.submitted, in->head), __ATOMIC_ACQUIRE);
	}
	int result = results[head & *word_of(ring.completed, out->ring_mask)].res;
	__atomic_store_n(word_of(ring.completed, out->head), head + 1, __ATOMIC_RELEASE);
	return result;
}

static void read_by_ring(int file, const struct account *account)
{
	const struct io_uring_sqe wanted = {
		.opcode = ring.has_buffer ? IORING_OP_READ_FIXED : IORING_OP_READ,
		.flags = ring.has_workers ? IOSQE_ASYNC : 0,
		.fd = file,
		.addr = (uintptr_t)account->buffer,
		.len = SIZE,
	};
	int result = request(&wanted);

	if (result != SIZE)
		target_fault("a read by io_uring ended with %d", result);
}

static void read_directly(int file, const struct account *account)
{
	if (pread(file, account->buffer, SIZE, 0) != SIZE)
		target_fault("a direct read ended with %s", strerror(errno));
}

enum { SECTOR = 512, OTHER_PART = PAGE / 2, SENTINEL = 0xee };

static void *write_other_part(void *buffer)
{
	while (target_goes_on()) {
		((volatile uint8_t *)buffer)[OTHER_PART]++;
		for (volatile int i = 0; i < 1000; i++)
			;
	}
	return NULL;
}

static int run_shared(const char *name)
{
	int in = open(name, O_RDONLY | O_CLOEXEC | O_DIRECT);
	uint8_t *buffer = target_map(PAGE);
	unsigned long reads = 0;

	if (in < 0)
		target_skip("there is no O_DIRECT");
	target_thread(write_other_part, buffer);
	target_ready("buffer=%p", (void *)buffer);
	for (; target_goes_on(); reads++) {
		memset(buffer, SENTINEL, SECTOR);
		if (pread(in, buffer, SECTOR, 0) != SECTOR)
			target_fault("a direct read ended with %s", strerror(errno));
		if (memchr(buffer, SENTINEL, SECTOR) != NULL)
			target_fault("what was read has not arrived");
	}
	target_finish();
	target_join();
	target_count("reads", reads);
	return target_end();
}

static const char *fifo;

static void *open_other_end(void *unused)
{
	while (target_goes_on()) {
		int file = open(fifo, O_WRONLY | O_CLOEXEC);

		if (file >= 0)
			close(file);
		target_sleep(WAIT);
	}
	return NULL;
}

/* Once a thread of the kernel's has waited for it, the other end is open. */
static int run_waiting(const char *name)
{
	const struct io_uring_sqe wanted = { .opcode = IORING_OP_OPENAT,
					     .flags = IOSQE_ASYNC,
					     .fd = AT_FDCWD,
					     .addr = (uintptr_t)name,
					     .open_flags = O_RDONLY | O_CLOEXEC };
	unsigned long opened = 0;

	fifo = name;
	open_ring();
	if (mkfifo(name, 0600) != 0)
		target_die("mkfifo");
	target_thread(open_other_end, NULL);
	target_ready("pid=%d", (int)getpid());
	for (; target_goes_on(); opened++) {
		int result = request(&wanted);

		if (result < 0)
			target_fault("to open a fifo by io_uring ended with %d", result);
		else
			close(result);
	}
	target_finish();
	/* It may wait for somebody to read, or to write. */
	int last = open(name, O_RDWR | O_CLOEXEC);
	target_join();
	close(last);
	target_count("opened", opened);
	return target_end();
}

int main(int argc, char **argv)
{
	char **words = target_begin(argc, argv, NULL);
	static uint64_t content[WORDS];

	if (words[0] == NULL || words[1] == NULL) {
		fprintf(stderr, "usage: devices pinned|rings|workers|waiting|direct|shared FILE\n");
		return 2;
	}
	if (strcmp(words[0], "waiting") == 0)
		return run_waiting(words[1]);
	if (strcmp(words[0], "shared") == 0)
		return run_shared(words[1]);
	bool is_direct = strcmp(words[0], "direct") == 0;
	struct account *account = target_map(sizeof(*account));
	account->size = SIZE;
	account->buffer = target_map(SIZE);
	int out = open(words[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int in = open(words[1], O_RDONLY | O_CLOEXEC | (is_direct ? O_DIRECT : 0));
	if (in < 0)
		target_skip("there is no O_DIRECT");
	if (strcmp(words[0], "rings") == 0) {
		open_own_ring(account);
	} else if (!is_direct) {
		open_ring();
		ring.has_workers = strcmp(words[0], "workers") == 0;
		if (!ring.has_workers)
			register_buffer(account);
	}
	while (target_goes_on()) {
		if (account->round == 0 || !is_direct) {
			account->at_rest = 0;
			account->round++;
			for (size_t i = 0; i < WORDS; i++)
				content[i] = account->round;
			if (pwrite(out, content, SIZE, 0) != SIZE)
				target_die("pwrite");
			(is_direct ? read_directly : read_by_ring)(in, account);
			account->at_rest = 1;
			if (account->round == 1)
				target_ready("account=%p", (void *)account);
		}
		target_sleep(MILLISECOND);
	}
	target_finish();
	target_count("rounds", account->round);
	return target_end();
}
