/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/site.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>

#include "base/cleanup.h"
#include "snapshot/restart.h"
#include "snapshot/sequence.h"

enum {
	CHUNK = 1 << 16,
	SEARCH_LIMIT = 64 << 20, /* bytes of code */
	LONGEST = 9,             /* bytes of a gadget */
};

static const uint8_t call_and_return[] = { 0x0f, 0x05, 0xc3 };
/* What C libraries give to the kernel as the end of signal handlers: mov $15, %rax; syscall. */
static const uint8_t restorer_long[] = { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 };
static const uint8_t restorer_short[] = { 0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05 };

static void look(const uint8_t *code, size_t size, uint64_t address, const uint8_t *bytes,
		 size_t length, uint64_t *out)
{
	const uint8_t *found = *out ? NULL : memmem(code, size, bytes, length);

	if (found)
		*out = address + (uint64_t)(found - code);
}

static bool is_complete(const struct gadgets *gadgets)
{
	return gadgets->returns && gadgets->restorer;
}

static void search(const uint8_t *code, size_t size, uint64_t address, struct gadgets *out)
{
	uint64_t returning = 0;

	look(code, size, address, call_and_return, sizeof(call_and_return), &returning);
	if (returning && !out->returns) {
		out->syscall = returning;
		out->returns = true;
	}
	look(code, size, address, call_and_return, 2, &out->syscall);
	look(code, size, address, restorer_long, sizeof(restorer_long), &out->restorer);
	look(code, size, address, restorer_short, sizeof(restorer_short), &out->restorer);
}

static int by_size(const void *a, const void *b)
{
	const struct mapping *const *left = a, *const *right = b;
	uint64_t l = (*left)->end - (*left)->start, r = (*right)->end - (*right)->start;

	return (l > r) - (l < r);
}

static void search_mapping(pid_t pid, const struct mapping *mapping, uint8_t *buffer,
			   uint64_t *searched, struct gadgets *out)
{
	for (uint64_t at = mapping->start; at < mapping->end && !is_complete(out);
	     at += CHUNK - LONGEST) {
		uint64_t left = mapping->end - at;
		size_t size = left < CHUNK ? (size_t)left : CHUNK;
		if (*searched > SEARCH_LIMIT || !target_read(pid, at, buffer, size))
			return;
		*searched += size;
		search(buffer, size, at, out);
		if (left <= CHUNK)
			return;
	}
}

void site_find_gadgets(struct site *site, pid_t pid)
{
	const struct mapping *mappings = site->mappings->mappings;
	struct gadgets *out = &site->gadgets;
	size_t count = site->mappings->count;
	AUTO_FREE const struct mapping **order = calloc(count, sizeof(*order));
	AUTO_FREE uint8_t *buffer = malloc(CHUNK);
	uint64_t searched = 0;
	size_t found = 0;

	*out = (struct gadgets){ 0 };
	if (!order || !buffer)
		return;
	for (size_t i = 0; i < count; i++)
		if (mappings[i].permissions & PROT_EXEC && mappings[i].permissions & PROT_READ)
			order[found++] = &mappings[i];
	/* The small ones first: a program can have hundreds of megabytes of code. */
	qsort(order, found, sizeof(*order), by_size);
	for (size_t i = 0; i < found && !is_complete(out); i++)
		search_mapping(pid, order[i], buffer, &searched, out);
}

bool site_holds(const struct site *site, pid_t pid)
{
	const struct gadgets *gadgets = &site->gadgets;
	uint8_t code[LONGEST];

	if (!gadgets->syscall || !target_read(pid, gadgets->syscall, code, 3) ||
	    memcmp(code, call_and_return, gadgets->returns ? 3 : 2) != 0)
		return false;
	return !gadgets->restorer ||
	       (target_read(pid, gadgets->restorer, code, sizeof(restorer_short)) &&
		(memcmp(code, restorer_short, sizeof(restorer_short)) == 0 ||
		 (target_read(pid, gadgets->restorer, code, sizeof(restorer_long)) &&
		  memcmp(code, restorer_long, sizeof(restorer_long)) == 0)));
}

static bool has_guarded_stack(const struct site *site, uint64_t stack_pointer)
{
	const struct mapping *stack = mapping_list_find(site->mappings, stack_pointer - 1);
	const uint32_t used = PROT_READ | PROT_WRITE;

	if (!stack || (stack->permissions & used) != used || stack->is_shared ||
	    stack_pointer - stack->start < FRAME_SIZE_LIMIT)
		return false;
	if (bytes_match(stack->name, 0, "[stack]"))
		return true;
	return stack > site->mappings->mappings && stack[-1].end == stack->start &&
	       stack[-1].permissions == 0;
}

struct tracee_thread *site_choose(const struct site *site, const struct tracee *tracee,
				  bool *has_stack)
{
	struct tracee_thread *best = NULL;
	int best_score = -1;

	for (size_t i = 0; i < tracee->count; i++) {
		struct tracee_thread *thread = &tracee->threads[i];
		if (!thread->is_stopped || !thread->record ||
		    thread_record_is_of_kernel(thread->record))
			continue;
		bool stack = has_guarded_stack(site, thread->record->general.rsp);
		/* For a while it alone is traced. */
		int score =
			4 * stack + 2 * !thread->is_addressed + restart_is_simple(thread->record);
		if (score <= best_score)
			continue;
		best_score = score;
		best = thread;
		*has_stack = stack;
	}
	return best;
}

enum kioku_status site_refuse(pid_t pid, struct kioku_error *error)
{
	return error_set(error, KIOKU_ERROR_REFUSED,
			 "no thread of process %d stops: all wait in the kernel where nothing "
			 "interrupts them (a vforked child, a disk), or get no CPU",
			 pid);
}

enum kioku_status site_call(const struct site *site, struct tracee *tracee,
			    struct injection *injection, long number, const uint64_t given[6],
			    bool has_child, uint64_t deadline, int64_t *result,
			    struct kioku_error *error)
{
	uint64_t arguments[6];
	struct kioku_error second;
	bool has_stack = false;
	struct tracee_thread *thread = site_choose(site, tracee, &has_stack);

	memcpy(arguments, given, sizeof(arguments));
	if (!thread)
		return site_refuse(tracee->pid, error);
	if (!site_holds(site, thread->tid))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "process %d has no code in which a system call could be made",
				 tracee->pid);
	TRY(sequence_leave(thread->record, deadline, error));
	injection_begin(injection, thread->record, &site->gadgets, has_stack);
	thread->is_changed = true;
	if (has_child) {
		arguments[1] = injection->is_framed ? injection->frame.child : 0;
		if (site->other_namespace)
			injection->child_options = tracee->options | PTRACE_O_TRACECLONE;
	}
	enum kioku_status status =
		injection_call(injection, number, arguments, deadline, result, error);
	enum kioku_status end = injection_end(injection, status == KIOKU_OK ? error : &second);
	return status == KIOKU_OK ? end : status;
}
