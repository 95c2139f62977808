/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/userfault.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/growing.h"
#include "base/thread.h"
#include "snapshot/pagemap_scan.h"
#include "snapshot/wait.h"

/* include/uapi/linux/userfaultfd.h, Linux 6.7; headers may be older than the kernel. */
#define FEATURE_WP_UNPOPULATED (UINT64_C(1) << 13)
#define FEATURE_WP_ASYNC       (UINT64_C(1) << 15)
#define FEATURE_WP_SHARED      (UINT64_C(1) << 12) /* UFFD_FEATURE_WP_HUGETLBFS_SHMEM, 5.19 */
#define USER_MODE_ONLY         1                   /* 5.11 */

static const struct {
	uint64_t flags, features;
} modes[] = {
	/* Nobody ever waits for a page, for which alone more would be needed: this is allowed to all. */
	[USERFAULT_ASYNC] = { O_CLOEXEC | O_NONBLOCK | USER_MODE_ONLY, FEATURE_WP_ASYNC },
	[USERFAULT_SYNC] = { O_CLOEXEC | O_NONBLOCK, 0 },
};

static const uint64_t features = UFFD_FEATURE_PAGEFAULT_FLAG_WP | FEATURE_WP_UNPOPULATED |
				 FEATURE_WP_SHARED | UFFD_FEATURE_EVENT_REMOVE |
				 UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_EVENT_REMAP;

enum {
	PAGE = 4096,
	PIECE = 4 * PAGE,    /* that is written as a whole, so that not every page is waited for */
	RETRY = 1,           /* milliseconds */
	READER_PRIORITY = 2, /* above that of who copies in the stop */
	REPAIR_ROUNDS = 100,
	REPAIR_INTERVAL = 5000, /* microseconds */
};

static bool begin(int descriptor, enum userfault_mode mode)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features | modes[mode].features };

	return ioctl(descriptor, UFFDIO_API, &api) == 0;
}

/* A descriptor of our own. */
static int open_own(void)
{
	int descriptor = (int)syscall(SYS_userfaultfd, modes[USERFAULT_ASYNC].flags);

	if (descriptor >= 0 && begin(descriptor, USERFAULT_ASYNC))
		return descriptor;
	if (descriptor >= 0)
		close(descriptor);
	return -1;
}

bool userfault_works(void)
{
	AUTO_CLOSE int descriptor = open_own();
	AUTO_CLOSE int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	struct pagemap_scan scan = { .size = sizeof(scan), .returned = PAGE_IS_WRITTEN_BIT };

	return descriptor >= 0 && pagemap >= 0 && ioctl(pagemap, PAGEMAP_SCAN_IOCTL, &scan) == 0;
}

bool userfault_may_be_sync(const struct process *process)
{
	const uint64_t needed = UINT64_C(1) << CAP_SYS_PTRACE;
	AUTO_FILE_TEXT struct file_text text = { 0 };

	if (process->effective_capabilities & needed &&
	    !(process->other_namespaces & 1u << PROCESS_USER_NAMESPACE))
		return true;
	return file_text_read(&text, AT_FDCWD, "/proc/sys/vm/unprivileged_userfaultfd",
			      PROCESS_FILE_LIMIT, NULL) == KIOKU_OK &&
	       bytes_match(file_text_bytes(&text), 0, "1");
}

bool userfault_measure(uint8_t *memory, size_t size, double *look, double *delay)
{
	enum { WRITES = 64 };
	const struct userfault own = { .descriptor = open_own() };
	AUTO_CLOSE int descriptor = own.descriptor;
	AUTO_CLOSE int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	struct pagemap_region region;
	uint64_t start = (uintptr_t)memory, times[3];
	struct pagemap_scan scan = { .size = sizeof(scan),
				     .flags = SCAN_WP_MATCHING,
				     .start = start,
				     .end = start + size,
				     .regions = (uintptr_t)&region,
				     .region_limit = 1,
				     .all_of = PAGE_IS_WRITTEN_BIT,
				     .returned = PAGE_IS_WRITTEN_BIT };

	if (descriptor < 0 || pagemap < 0 || !userfault_track(&own, start, start + size) ||
	    ioctl(pagemap, PAGEMAP_SCAN_IOCTL, &scan) < 0)
		return false;
	scan.flags = 0;
	times[0] = wait_now();
	bool works = ioctl(pagemap, PAGEMAP_SCAN_IOCTL, &scan) == 0;
	times[1] = wait_now();
	for (size_t i = 0; i < WRITES * PAGE && i < size; i += PAGE)
		*(volatile uint8_t *)&memory[i] = 2;
	times[2] = wait_now();
	*look = (double)(times[1] - times[0]) / (double)size;
	*delay = (double)(times[2] - times[1]) / WRITES;
	return works;
}

static void note(struct userfault *userfault, enum userfault_change_kind kind, uint64_t start,
		 uint64_t end)
{
	if (userfault->change_count == USERFAULT_CHANGES)
		userfault->has_lost_changes = true;
	else
		userfault->changes[userfault->change_count++] =
			(struct userfault_change){ kind, start, end };
}

/* 0 or an errno; EAGAIN: mappings are about to change, of which we are told next. */
static int protect(const struct userfault *userfault, uint64_t start, uint64_t end, uint64_t mode)
{
	struct uffdio_writeprotect range = { .range = { start, end - start }, .mode = mode };

	return ioctl(userfault->descriptor, UFFDIO_WRITEPROTECT, &range) == 0 ? 0 : errno;
}

static int unprotect(const struct userfault *userfault, uint64_t start, uint64_t end)
{
	return protect(userfault, start, end, 0);
}

static void note_write(struct userfault *userfault, const struct page_range *write)
{
	if (userfault->write_count == USERFAULT_WRITES)
		userfault->has_lost_writes = true;
	else
		userfault->writes[userfault->write_count++] = *write;
}

/* It is noted before it can be done. False: not yet. */
static bool let_write(struct userfault *userfault, const struct page_range *page)
{
	struct page_range piece = { .start = page->start / PIECE * PIECE };

	piece.end = piece.start + PIECE;
	int reason = unprotect(userfault, piece.start, piece.end);
	if (reason == 0) {
		note_write(userfault, &piece);
		return true;
	}
	if (reason == EAGAIN)
		return false;
	/* Not all of it is mapped, or tracked. If nothing is, nobody waits there any more. */
	note_write(userfault, page);
	return unprotect(userfault, page->start, page->end) != EAGAIN;
}

static void let_waiting_write(struct userfault *userfault)
{
	size_t left = 0;

	for (size_t i = 0; i < userfault->waiting_count; i++)
		if (!let_write(userfault, &userfault->waiting[i]))
			userfault->waiting[left++] = userfault->waiting[i];
	userfault->waiting_count = left;
}

/* Without memory for it, the target would wait forever. */
static void note_fault(struct userfault *userfault, uint64_t address)
{
	struct page_range page = { address / PAGE * PAGE, address / PAGE * PAGE + PAGE };

	while (!GROW(userfault->waiting, userfault->waiting_count, userfault->waiting_capacity))
		usleep(RETRY * 1000);
	userfault->waiting[userfault->waiting_count++] = page;
}

static void note_event(struct userfault *userfault, const struct uffd_msg *message)
{
	uint64_t from = message->arg.remap.from, to = message->arg.remap.to;
	uint64_t length = message->arg.remap.len;

	if (message->event == UFFD_EVENT_REMAP) {
		note(userfault, USERFAULT_GONE, from, from + length);
		note(userfault, USERFAULT_MOVED, to, to + length);
	} else if (message->event == UFFD_EVENT_REMOVE || message->event == UFFD_EVENT_UNMAP) {
		note(userfault, USERFAULT_GONE, message->arg.remove.start, message->arg.remove.end);
	} else if (message->event == UFFD_EVENT_PAGEFAULT) {
		note_fault(userfault, message->arg.pagefault.address);
	}
}

/* Whoever sees the target go on after an event sees the event noted: it goes on once it is read. */
static void note_events(struct userfault *userfault)
{
	struct uffd_msg message;

	pthread_mutex_lock(&userfault->lock);
	while (read(userfault->descriptor, &message, sizeof(message)) == sizeof(message))
		note_event(userfault, &message);
	let_waiting_write(userfault);
	pthread_mutex_unlock(&userfault->lock);
}

/* The target waits until its event has been read, or its write noted. */
static void *read_events(void *argument)
{
	struct userfault *userfault = argument;
	const struct sched_param urgent = { .sched_priority = READER_PRIORITY };
	struct pollfd files[] = { { .fd = userfault->descriptor, .events = POLLIN },
				  { .fd = userfault->end, .events = POLLIN } };

	(void)pthread_setschedparam(pthread_self(), SCHED_FIFO, &urgent);
	while (files[1].revents == 0 && !(files[0].revents & POLLERR)) {
		if (poll(files, 2, userfault->waiting_count > 0 ? RETRY : -1) < 0 && errno != EINTR)
			break;
		note_events(userfault);
	}
	return NULL;
}

/*
 * A process's descriptor, for ourselves; pidfd_getfd(2), Linux 5.6. From a process whose leader has exited
 * it is only to be had by another thread, for which PIDFD_THREAD is there since 6.9.
 */
static int take_descriptor(const struct errand *errand, int number)
{
	AUTO_CLOSE int thread = (int)syscall(SYS_pidfd_open, errand->tid, O_EXCL);
	AUTO_CLOSE int process = (int)syscall(SYS_pidfd_open, errand->process->pid, 0);
	int descriptor = (int)syscall(SYS_pidfd_getfd, thread, number, 0);

	return descriptor >= 0 ? descriptor : (int)syscall(SYS_pidfd_getfd, process, number, 0);
}

static bool is_userfault(int folder, int number)
{
	char path[32], target[64];

	snprintf(path, sizeof(path), "fd/%d", number);
	ssize_t size = readlinkat(folder, path, target, sizeof(target) - 1);
	target[size > 0 ? size : 0] = '\0';
	return strcmp(target, "anon_inode:[userfaultfd]") == 0;
}

/* The number of a userfaultfd that a process has, or USERFAULT_NONE. */
static int find(int folder)
{
	AUTO_NUMBERS struct number_list files = { 0 };

	(void)!number_list_read(&files, folder, "fd", NULL);
	for (size_t i = 0; i < files.count; i++)
		if (is_userfault(folder, files.numbers[i]))
			return files.numbers[i];
	return USERFAULT_NONE;
}

void userfault_repair(struct errand *errand, int left)
{
	int number = left;
	/* A thread that was about to make one does so once it has a CPU. */
	for (int i = 0; left == USERFAULT_ANY && number < 0 && i < REPAIR_ROUNDS; i++) {
		number = find(errand->process->folder);
		if (number < 0)
			usleep(REPAIR_INTERVAL);
	}
	const uint64_t arguments[6] = { (uint64_t)number };
	int64_t result;

	if (number >= 0 && is_userfault(errand->process->folder, number))
		(void)errand_call(errand, 0, SYS_close, arguments, &result, NULL);
}

static enum kioku_status obtain(struct userfault *userfault, enum userfault_mode mode,
				struct errand *errand, int *left, struct kioku_error *error)
{
	uint64_t arguments[6] = { modes[mode].flags };
	int64_t result;

	*left = find(errand->process->folder) < 0 ? USERFAULT_ANY : USERFAULT_NONE;
	TRY(errand_call(errand, 0, SYS_userfaultfd, arguments, &result, error));
	if (result < 0) {
		*left = USERFAULT_NONE;
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "process %d cannot have its writes tracked: %s",
				 errand->process->pid, strerror((int)-result));
	}
	*left = (int)result;
	userfault->descriptor = take_descriptor(errand, *left);
	int reason = errno;
	arguments[0] = (uint64_t)result;
	enum kioku_status status =
		errand_call(errand, errand->tid, SYS_close, arguments, &result, error);
	if (status == KIOKU_OK)
		*left = USERFAULT_NONE;
	if (userfault->descriptor < 0)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "cannot take over a descriptor of process %d: %s",
				 errand->process->pid, strerror(reason));
	return status;
}

void userfault_init(struct userfault *userfault)
{
	*userfault = (struct userfault){ .descriptor = -1, .end = -1 };
}

enum kioku_status userfault_open(struct userfault *userfault, enum userfault_mode mode,
				 struct errand *errand, int *left, struct kioku_error *error)
{
	userfault_init(userfault);
	pthread_mutex_init(&userfault->lock, NULL);
	*left = USERFAULT_NONE;
	userfault->end = eventfd(0, EFD_CLOEXEC);
	if (userfault->end < 0)
		return error_os(error, "cannot track writes");
	TRY(obtain(userfault, mode, errand, left, error));
	if (!begin(userfault->descriptor, mode))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "this kernel cannot track writes (it takes Linux 6.7)");
	TRY(thread_create(&userfault->reader, read_events, userfault, error));
	userfault->has_reader = true;
	return KIOKU_OK;
}

bool userfault_track(const struct userfault *userfault, uint64_t start, uint64_t end)
{
	struct uffdio_register range = { .range = { start, end - start },
					 .mode = UFFDIO_REGISTER_MODE_WP };

	return ioctl(userfault->descriptor, UFFDIO_REGISTER, &range) == 0;
}

void userfault_forget(const struct userfault *userfault, uint64_t start, uint64_t end)
{
	uint64_t middle = start + (end - start) / 2 / PAGE * PAGE;
	int reason;

	/* Whoever is changing mappings has not gone on yet since the reader told him to. */
	while ((reason = unprotect(userfault, start, end)) == EAGAIN)
		sched_yield();
	/* The kernel ends at the first mapping that is not tracked: there may be others behind it. */
	if (reason != ENOENT || middle == start)
		return;
	userfault_forget(userfault, start, middle);
	userfault_forget(userfault, middle, end);
}

bool userfault_changes(struct userfault *userfault, struct userfault_change *changes, size_t *count)
{
	pthread_mutex_lock(&userfault->lock);
	bool complete = !userfault->has_lost_changes;
	*count = userfault->change_count;
	memcpy(changes, userfault->changes, *count * sizeof(*changes));
	userfault->change_count = 0;
	userfault->has_lost_changes = false;
	pthread_mutex_unlock(&userfault->lock);
	return complete;
}

bool userfault_protect(const struct userfault *userfault, uint64_t start, uint64_t end)
{
	return protect(userfault, start, end, UFFDIO_WRITEPROTECT_MODE_WP) == 0;
}

bool userfault_writes(struct userfault *userfault, const struct page_range **writes, size_t *count)
{
	pthread_mutex_lock(&userfault->lock);
	bool complete = !userfault->has_lost_writes;
	*count = userfault->write_count;
	*writes = userfault->writes;
	pthread_mutex_unlock(&userfault->lock);
	return complete;
}

bool userfault_untrack(const struct userfault *userfault, uint64_t start, uint64_t end)
{
	struct uffdio_range range = { start, end - start };

	/* The target's faults wait for the lock that this takes: nobody may run in our place now. */
	errand_hurry(true);
	bool done = ioctl(userfault->descriptor, UFFDIO_UNREGISTER, &range) == 0;
	errand_hurry(false);
	return done;
}

bool userfault_drop(const struct userfault *userfault, uint64_t start, uint64_t end)
{
	struct uffdio_register other = { .range = { start, end - start },
					 .mode = UFFDIO_REGISTER_MODE_MISSING };

	return ioctl(userfault->descriptor, UFFDIO_REGISTER, &other) == 0 &&
	       ioctl(userfault->descriptor, UFFDIO_UNREGISTER, &other.range) == 0;
}

void userfault_close(struct userfault *userfault)
{
	const uint64_t one = 1;

	if (userfault->descriptor >= 0 && userfault->has_reader &&
	    write(userfault->end, &one, sizeof(one)) == sizeof(one))
		pthread_join(userfault->reader, NULL);
	if (userfault->descriptor >= 0)
		close(userfault->descriptor);
	if (userfault->end >= 0)
		close(userfault->end);
	free(userfault->waiting);
	userfault_init(userfault);
}
