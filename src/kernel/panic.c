/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/panic.h"

#include <string.h>

#include "kernel/cpu_stacks.h"
#include "kernel/percpu.h"

/* --- the CPU */

enum kioku_status panic_cpu(struct kioku_kernel *kernel, uint32_t *out)
{
	uint64_t address = kernel_symbol(kernel, "panic_cpu");
	uint8_t raw[4];

	if (!address)
		return KIOKU_ERROR_UNSUPPORTED;
	TRY(kernel_read(kernel, address, raw, sizeof(raw), NULL));
	*out = load_le32(raw);
	if (*out == UINT32_MAX) /* PANIC_CPU_INVALID */
		return KIOKU_ERROR_NOT_FOUND;
	return *out < percpu_count(kernel) ? KIOKU_OK : KIOKU_ERROR_CORRUPT;
}

/* --- the message */

/* How the kernel begins to say that something is wrong; what is said before has other reasons. */
static const char *const beginnings[] = {
	"BUG: ",
	"Oops: ",
	"kernel BUG at ",
	"general protection fault",
	"stack segment: ",
	"double fault: ",
	"invalid opcode: ",
	"divide error: ",
	"unable to handle ",
	"traps: PANIC",
	"INFO: task ",
	"INFO: rcu",
	"rcu: INFO: ",
	"watchdog: BUG: ",
	"watchdog: CPU",
	"watchdog: Watchdog detected ",
	"NMI watchdog: BUG: ",
	"NMI watchdog: Watchdog detected ",
	"NMI: Not continuing",
	"mce: [Hardware Error]",
	"------------[ cut here ]",
	"sysrq: Trigger a crash",
	"sysrq: SysRq : Trigger a crash",
	"Kernel panic - not syncing",
};

static const char panic_line[] = "Kernel panic - not syncing";

/* A report is written to slow consoles line by line, in nanoseconds. */
#define REPORT_TIME UINT64_C(10000000000)

static bool begins_with(const struct printk_entry *entry, const char *start)
{
	size_t size = strlen(start);

	return entry->size >= size && memcmp(entry->text, start, size) == 0;
}

static bool is_beginning(const struct printk_entry *entry)
{
	for (size_t i = 0; i < sizeof(beginnings) / sizeof(*beginnings); i++)
		if (begins_with(entry, beginnings[i]))
			return true;
	return false;
}

struct message {
	bool is_known, is_panic; /* of time: it is that of the panic, or of what was said last */
	uint64_t time;
	bool has_begun;
	printk_fn *receive;
	void *user;
};

static enum kioku_status find_time(void *user, const struct printk_entry *entry)
{
	struct message *message = user;

	if (message->is_panic || !is_beginning(entry))
		return KIOKU_OK;
	message->is_known = true;
	message->is_panic = begins_with(entry, panic_line);
	message->time = entry->time;
	return KIOKU_OK;
}

static enum kioku_status give_rest(void *user, const struct printk_entry *entry)
{
	struct message *message = user;

	message->has_begun |= is_beginning(entry) && entry->time + REPORT_TIME >= message->time;
	return message->has_begun ? message->receive(message->user, entry) : KIOKU_OK;
}

enum kioku_status panic_each_message(struct kioku_kernel *kernel, printk_fn *receive, void *user,
				     struct kioku_error *error)
{
	struct message message = { .receive = receive, .user = user };

	TRY(printk_each(kernel, find_time, &message, error));
	return message.is_known ? printk_each(kernel, give_rest, &message, error) : KIOKU_OK;
}

/* --- the stack */

struct search {
	struct kioku_kernel *kernel;
	const struct kernel_code *code;
	struct stacks stacks;
	struct kernel_stack *out;
};

static void search_release(struct search *search)
{
	stacks_release(&search->stacks);
}

/* The image's registers do not say of which CPU they are; its stack does. */
static bool follow_registers(struct search *search)
{
	size_t count;
	const struct kioku_cpu *cpus = kioku_source_cpus(search->kernel->source, &count);

	for (size_t i = 0; i < count; i++) {
		const struct kioku_cpu *cpu = &cpus[i];
		if (!stacks_at(&search->stacks, cpu->rsp) ||
		    !kernel_code_has(search->code, cpu->rip))
			continue;
		struct stack_start start = { cpu->rip, cpu->rsp, cpu->rbp, true };
		kernel_stack_follow(search->kernel, search->code, &search->stacks, &start,
				    search->out);
		return true;
	}
	return false;
}

/* Whether what comes before a return address is a call of a function. */
static bool is_after_call(const struct search *search, uint64_t address, uint64_t function)
{
	enum { CALL = 0xe8, SIZE = 5 }; /* of an instruction with a distance of 32 bits */
	uint8_t raw[SIZE];

	return kernel_code_has(search->code, address - 1) &&
	       kernel_read(search->kernel, address - SIZE, raw, SIZE, NULL) == KIOKU_OK &&
	       raw[0] == CALL &&
	       address + (uint64_t)(int64_t)(int32_t)load_le32(raw + 1) == function;
}

/*
 * A call of panic() never returns, so that only the one that happened has left its return address. Below it
 * lies the frame pointer of whoever called.
 */
static bool follow_panic(struct search *search, const struct stack_words *words, uint64_t panic)
{
	struct stack_start start = { 0 };

	for (uint64_t at = (words->end & ~7ull) - 8; at >= words->start; at -= 8) {
		if (!stacks_word(&search->stacks, at, &start.ip) ||
		    !is_after_call(search, start.ip, panic))
			continue;
		start.sp = at + 8;
		if (!stacks_word(&search->stacks, at - 8, &start.bp))
			start.bp = 0;
		kernel_stack_follow(search->kernel, search->code, &search->stacks, &start,
				    search->out);
		return true;
	}
	return false;
}

enum kioku_status panic_stack(struct kioku_kernel *kernel, const struct kernel_code *code,
			      uint32_t cpu, const struct task *task, struct kernel_stack *out)
{
	CLEANUP(search_release)
	struct search search = { .kernel = kernel, .code = code, .out = out };
	uint64_t panic = kernel_symbol(kernel, "panic");

	TRY(cpu_stacks_read(kernel, cpu, task, &search.stacks));
	if (follow_registers(&search))
		return KIOKU_OK;
	for (size_t i = 0; panic && i < search.stacks.count; i++)
		if (follow_panic(&search, &search.stacks.list[i], panic))
			return KIOKU_OK;
	return KIOKU_ERROR_NOT_FOUND;
}
