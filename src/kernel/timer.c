/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/timer.h"

#include <string.h>

#include "kernel/clock.h"
#include "kernel/file_table.h"
#include "kernel/hash_chain.h"
#include "kernel/percpu.h"
#include "kernel/rbtree.h"
#include "type/types.h"

const char *const timer_flag_names[] = { "deferrable", "pinned", "irqsafe", "migrating", "soft",
					 "hard",       "rel",    "lazy",    NULL };

/* --- wheels */

/* Flags of a struct timer_list: include/linux/timer.h, v4.8 to v7.2. */
#define WHEEL_CPU_MASK   0x3ffffu
#define WHEEL_MIGRATING  0x40000u
#define WHEEL_DEFERRABLE 0x80000u
#define WHEEL_PINNED     0x100000u
#define WHEEL_IRQSAFE    0x200000u

enum { WHEEL_BASES = 3 };

struct wheel {
	uint32_t cpu;
	uint8_t first; /* of this only the place matters */
};

static const struct member wheel_members[] = {
	MEMBER(struct wheel, cpu, "cpu"),
	MEMBER(struct wheel, first, "vectors"),
};
static const struct record wheel_record = RECORD(struct wheel, "timer_base", wheel_members);

struct wheel_timer {
	uint64_t node; /* of this only the place matters */
	uint64_t expires, function;
	uint32_t flags;
};

static const struct member wheel_timer_members[] = {
	MEMBER(struct wheel_timer, node, "entry.next"),
	MEMBER(struct wheel_timer, expires, "expires"),
	MEMBER(struct wheel_timer, function, "function"),
	MEMBER(struct wheel_timer, flags, "flags"),
};
const struct record timer_wheel_record =
	RECORD(struct wheel_timer, "timer_list", wheel_timer_members);

/* The clock source that counts ticks says how long one is, for every kernel (kernel/time/jiffies.c). */
struct tick {
	uint32_t multiplier, shift;
};

static const struct member tick_members[] = {
	MEMBER(struct tick, multiplier, "mult"),
	MEMBER(struct tick, shift, "shift"),
};
static const struct record tick_record = RECORD(struct tick, "clocksource", tick_members);

struct walk {
	struct kioku_kernel *kernel;
	timer_fn *receive;
	void *user;
	uint64_t jiffies, tick; /* ticks so far; nanoseconds of one, 0: not known */
	struct timer timer;     /* what is the same for those that come */
	/* Of a wheel. */
	const struct binding *wheel_timer;
	bool has_bases; /* for each kind of timer one */
	/* Of a clock. */
	const struct binding *clock_timer;
	uint64_t base; /* struct hrtimer_clock_base */
	int32_t clock; /* its number */
};

static void lost(const struct walk *walk, uint64_t address, enum kioku_status status)
{
	diagnose(&walk->kernel->diagnostics, KIOKU_GAP, "timer 0x%llx of CPU %u: %s",
		 (unsigned long long)address, walk->timer.cpu, kioku_status_name(status));
}

static void read_ticks(struct walk *walk)
{
	struct kioku_kernel *kernel = walk->kernel;
	uint64_t jiffies = kernel_symbol(kernel, "jiffies");
	struct tick tick;

	if (!jiffies || address_read_u64(&kernel->space, jiffies, &jiffies, NULL) != KIOKU_OK ||
	    record_read_at(kernel, &tick_record, kernel_symbol(kernel, "clocksource_jiffies"),
			   &tick) != KIOKU_OK ||
	    tick.shift > 31)
		return;
	walk->jiffies = jiffies;
	walk->tick = tick.multiplier >> tick.shift;
}

static void wheel_time(const struct walk *walk, struct timer *timer)
{
	int64_t ticks = (int64_t)(timer->expires - walk->jiffies), distance;

	timer->time_is_known =
		walk->kernel->wall_time && walk->tick &&
		!__builtin_mul_overflow(ticks, (int64_t)walk->tick, &distance) &&
		!__builtin_add_overflow(walk->kernel->wall_time, distance, &timer->time);
}

static unsigned wheel_flags(uint32_t flags)
{
	return (flags & WHEEL_DEFERRABLE ? TIMER_DEFERRABLE : 0u) |
	       (flags & WHEEL_PINNED ? TIMER_PINNED : 0u) |
	       (flags & WHEEL_IRQSAFE ? TIMER_IRQSAFE : 0u) |
	       (flags & WHEEL_MIGRATING ? TIMER_MIGRATING : 0u);
}

/* A timer says whose it is, and which base it wants: both must lead to where it is. */
static bool belongs(const struct walk *walk, uint32_t flags)
{
	bool is_deferrable = flags & WHEEL_DEFERRABLE;

	if (flags & WHEEL_MIGRATING)
		return true;
	return (flags & WHEEL_CPU_MASK) == walk->timer.cpu &&
	       (!walk->has_bases || is_deferrable == (strcmp(walk->timer.base, "deferrable") == 0));
}

static enum kioku_status give_wheel_timer(void *user, uint64_t node)
{
	struct walk *walk = user;
	struct timer timer = walk->timer;
	struct wheel_timer found;

	timer.address = node - BINDING_OFFSET(walk->wheel_timer, struct wheel_timer, node);
	enum kioku_status status =
		record_read(walk->kernel, walk->wheel_timer, timer.address, &found, NULL);
	if (status != KIOKU_OK) {
		lost(walk, timer.address, status);
		return KIOKU_OK;
	}
	timer.expires = found.expires;
	timer.function = found.function;
	timer.flags = wheel_flags(found.flags);
	timer.flags_status = belongs(walk, found.flags) ? KIOKU_OK : KIOKU_ERROR_CORRUPT;
	wheel_time(walk, &timer);
	return walk->receive(walk->user, &timer);
}

/*
 * NR_BASES is in no type: the array ends where the next variable begins. One for each kind of timer since v4.8,
 * those that may be for any CPU have another since v6.9, and without CONFIG_NO_HZ_COMMON there is one.
 */
static size_t count_wheels(const struct kioku_kernel *kernel, uint64_t size)
{
	const struct kioku_symbols *symbols = kernel->symbols;
	uint64_t start = kernel_symbol(kernel, "timer_bases");
	size_t above = symbols_above(symbols, start);

	if (above == kioku_symbols_count(symbols))
		return 1;
	uint64_t count = (kioku_symbols_get(symbols, above).address - start) / size;
	return count < 1 ? 1 : count > WHEEL_BASES ? WHEEL_BASES : (size_t)count;
}

static enum kioku_status walk_wheel(struct walk *walk, const struct binding *binding,
				    uint64_t address, uint64_t heads)
{
	AUTO_HASH_WALK struct hash_walk chains = { .kernel = walk->kernel,
						   .what = "timer wheel",
						   .receive = give_wheel_timer,
						   .user = walk };
	struct wheel wheel;

	enum kioku_status status = record_read(walk->kernel, binding, address, &wheel, NULL);
	if (status == KIOKU_OK && wheel.cpu != walk->timer.cpu)
		status = KIOKU_ERROR_CORRUPT;
	if (status != KIOKU_OK) {
		diagnose(&walk->kernel->diagnostics, KIOKU_GAP, "timer wheel of CPU %u (%s): %s",
			 walk->timer.cpu, walk->timer.base, kioku_status_name(status));
		return KIOKU_OK;
	}
	return hash_table_walk(&chains, address + BINDING_OFFSET(binding, struct wheel, first),
			       heads, 8, 0);
}

static enum kioku_status walk_wheels(struct walk *walk, struct kioku_error *error)
{
	static const char *const names[WHEEL_BASES][WHEEL_BASES] = {
		{ "standard" },
		{ "standard", "deferrable" },
		{ "local", "global", "deferrable" },
	};
	struct kioku_kernel *kernel = walk->kernel;
	uint64_t size = types_size_of(kernel->types, "struct timer_base");
	const struct binding *binding;
	struct type_place heads;

	TRY(record_bind(kernel, &wheel_record, &binding, error));
	TRY(record_bind(kernel, &timer_wheel_record, &walk->wheel_timer, error));
	if (!kernel_symbol(kernel, "timer_bases") || size == 0 ||
	    !types_find_place(kernel->types, "struct timer_base", "vectors", &heads))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "the timer wheels are not known");
	size_t count = count_wheels(kernel, size);
	walk->has_bases = count > 1;
	walk->timer = (struct timer){ .kind = TIMER_OF_WHEEL, .clock = "jiffies" };
	for (uint32_t cpu = 0; cpu < percpu_count(kernel); cpu++) {
		uint64_t address;
		if (!percpu_is_possible(kernel, cpu))
			continue;
		walk->timer.cpu = cpu;
		enum kioku_status status =
			percpu_address(kernel, "timer_bases", cpu, &address, NULL);
		if (status != KIOKU_OK)
			lost(walk, 0, status);
		for (size_t i = 0; i < count && status == KIOKU_OK; i++) {
			walk->timer.base = names[count - 1][i];
			TRY(walk_wheel(walk, binding, address + i * size, heads.size / 8));
		}
	}
	return KIOKU_OK;
}

/* --- clocks */

struct clocks {
	uint32_t cpu;
	uint8_t first; /* of this only the place matters */
};

static const struct member clocks_members[] = {
	MEMBER(struct clocks, cpu, "cpu"),
	MEMBER(struct clocks, first, "clock_base"),
};
static const struct record clocks_record =
	RECORD(struct clocks, "hrtimer_cpu_base", clocks_members);

struct clock_base {
	uint64_t owner, root;
	uint32_t index;
	int32_t clock;
};

static const struct member clock_base_members[] = {
	MEMBER(struct clock_base, owner, "cpu_base"),
	/* struct rb_root_cached in struct timerqueue_head came with v5.4 */
	MEMBER(struct clock_base, root, "active.rb_root.rb_root.rb_node", "active.head.rb_node"),
	MEMBER(struct clock_base, index, "index"),
	MEMBER(struct clock_base, clock, "clockid"),
};
static const struct record clock_base_record =
	RECORD(struct clock_base, "hrtimer_clock_base", clock_base_members);

struct clock_timer {
	uint64_t node; /* of this only the place matters */
	uint64_t expires, function, base;
	uint8_t is_queued, is_relative, is_soft, is_hard, is_lazy;
};

static const struct member clock_timer_members[] = {
	/* In a struct rb_node_linked since v7.1. */
	MEMBER(struct clock_timer, node, "node.node.node.__rb_parent_color",
	       "node.node.__rb_parent_color"),
	MEMBER(struct clock_timer, expires, "node.expires"),
	MEMBER(struct clock_timer, function, "function"),
	MEMBER(struct clock_timer, base, "base"),
	MEMBER(struct clock_timer, is_queued, "is_queued", "state"), /* a bit of state until v7.0 */
	OPTIONAL(struct clock_timer, is_relative, "is_rel"),
	OPTIONAL(struct clock_timer, is_soft, "is_soft"),
	OPTIONAL(struct clock_timer, is_hard, "is_hard"), /* v5.4 */
	OPTIONAL(struct clock_timer, is_lazy, "is_lazy"), /* v7.1 */
};
const struct record timer_clock_record = RECORD(struct clock_timer, "hrtimer", clock_timer_members);

static const char *clock_name(int32_t number)
{
	switch (number) {
	case CLOCK_OF_UTC: return "realtime";
	case CLOCK_SINCE_BOOT: return "monotonic";
	case CLOCK_OF_BOOT: return "boottime";
	case CLOCK_ATOMIC: return "tai";
	default: return NULL;
	}
}

static enum kioku_status read_clock_timer(const struct walk *walk, uint64_t address,
					  struct clock_timer *out)
{
	TRY(record_read(walk->kernel, walk->clock_timer, address, out, NULL));
	return out->base == walk->base && out->is_queued & 1 ? KIOKU_OK : KIOKU_ERROR_CORRUPT;
}

static enum kioku_status give_clock_timer(struct walk *walk, uint64_t node)
{
	struct timer timer = walk->timer;
	struct clock_timer found;

	timer.address = node - BINDING_OFFSET(walk->clock_timer, struct clock_timer, node);
	enum kioku_status status = read_clock_timer(walk, timer.address, &found);
	if (status != KIOKU_OK) {
		lost(walk, timer.address, status);
		return KIOKU_OK;
	}
	timer.expires = found.expires;
	timer.function = found.function;
	timer.flags = (found.is_relative ? TIMER_RELATIVE : 0u) |
		      (found.is_soft ? TIMER_SOFT : 0u) | (found.is_hard ? TIMER_HARD : 0u) |
		      (found.is_lazy ? TIMER_LAZY : 0u);
	timer.time_is_known =
		clock_from(walk->kernel, walk->clock, (int64_t)timer.expires, &timer.time);
	return walk->receive(walk->user, &timer);
}

static enum kioku_status walk_clock(struct walk *walk, uint64_t root)
{
	AUTO_RB_WALK struct rb_walk tree;
	uint64_t node;

	rb_begin(&tree, walk->kernel, root, "timers of a clock");
	while (rb_next(&tree, &node))
		TRY(give_clock_timer(walk, node));
	return KIOKU_OK;
}

/* Of hard and soft timers the same clocks, in this order; the kernel's own names say which. */
static bool is_soft_base(const struct kioku_kernel *kernel, uint64_t index)
{
	const char *name = types_enum_name(kernel->types, "hrtimer_base_type", index);
	size_t length = name ? strlen(name) : 0;

	return length > 5 && strcmp(name + length - 5, "_SOFT") == 0;
}

/* A CPU that was never there has bases without anything in them, not even its number. */
static enum kioku_status walk_base(struct walk *walk, uint64_t owner, uint32_t owner_cpu,
				   uint64_t index)
{
	struct kioku_kernel *kernel = walk->kernel;
	struct clock_base base;

	enum kioku_status status = record_read_at(kernel, &clock_base_record, walk->base, &base);
	if (status == KIOKU_OK && base.root == 0)
		return KIOKU_OK;
	walk->timer.clock = clock_name(base.clock);
	if (status == KIOKU_OK && (base.owner != owner || base.index != index ||
				   owner_cpu != walk->timer.cpu || !walk->timer.clock))
		status = KIOKU_ERROR_CORRUPT;
	if (status != KIOKU_OK) {
		diagnose(&kernel->diagnostics, KIOKU_GAP, "clock %llu of CPU %u: its timers: %s",
			 (unsigned long long)index, walk->timer.cpu, kioku_status_name(status));
		return KIOKU_OK;
	}
	walk->clock = base.clock;
	walk->timer.base = is_soft_base(kernel, index) ? "soft" : "hard";
	return walk_clock(walk, base.root);
}

static enum kioku_status walk_clocks(struct walk *walk, struct kioku_error *error)
{
	struct kioku_kernel *kernel = walk->kernel;
	uint64_t size = types_size_of(kernel->types, "struct hrtimer_clock_base");
	const struct binding *binding, *base;
	struct type_place bases;

	TRY(record_bind(kernel, &clocks_record, &binding, error));
	TRY(record_bind(kernel, &clock_base_record, &base, error));
	TRY(record_bind(kernel, &timer_clock_record, &walk->clock_timer, error));
	if (!kernel_symbol(kernel, "hrtimer_bases") || size == 0 ||
	    !types_find_place(kernel->types, "struct hrtimer_cpu_base", "clock_base", &bases))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "the timers of clocks are not known");
	walk->timer = (struct timer){ .kind = TIMER_OF_CLOCK };
	for (uint32_t cpu = 0; cpu < percpu_count(kernel); cpu++) {
		struct clocks clocks;
		uint64_t address;
		if (!percpu_is_possible(kernel, cpu))
			continue;
		walk->timer.cpu = cpu;
		enum kioku_status status =
			percpu_address(kernel, "hrtimer_bases", cpu, &address, NULL);
		if (status == KIOKU_OK)
			status = record_read(kernel, binding, address, &clocks, NULL);
		if (status != KIOKU_OK)
			lost(walk, 0, status);
		for (uint64_t i = 0; status == KIOKU_OK && i < bases.size / size; i++) {
			walk->base = address + bases.offset + i * size;
			TRY(walk_base(walk, address, clocks.cpu, i));
		}
	}
	return KIOKU_OK;
}

enum kioku_status timer_each(struct kioku_kernel *kernel, timer_fn *receive, void *user,
			     struct kioku_error *error)
{
	struct walk walk = { .kernel = kernel, .receive = receive, .user = user };

	read_ticks(&walk);
	TRY(walk_wheels(&walk, error));
	return walk_clocks(&walk, error);
}

/* --- what they are for */

/* Functions that are called by the timers of many: in what such a timer is, and what is asked of that. */
static const struct {
	const char *function, *type, *timer, *target;
	bool is_task;
} purposes[] = {
	{ "delayed_work_timer_fn", "struct delayed_work", "timer", "work.func", false },
	{ "kthread_delayed_work_timer_fn", "struct kthread_delayed_work", "timer", "work.func",
	  false },
	{ "alarmtimer_fired", "struct alarm", "timer", "function", false },
	{ "process_timeout", "struct process_timer", "timer", "task", true },
	{ "hrtimer_wakeup", "struct hrtimer_sleeper", "timer", "task", true },
};

enum kioku_status timer_purpose(struct kioku_kernel *kernel, const struct timer *timer,
				struct timer_purpose *out)
{
	*out = (struct timer_purpose){ 0 };
	for (size_t i = 0; i < sizeof(purposes) / sizeof(*purposes); i++) {
		struct type_place place, target;
		uint64_t word;
		if (!timer->function ||
		    timer->function != kernel_symbol(kernel, purposes[i].function))
			continue;
		if (!types_find_place(kernel->types, purposes[i].type, purposes[i].timer, &place) ||
		    !types_find_place(kernel->types, purposes[i].type, purposes[i].target,
				      &target) ||
		    target.size != sizeof(word))
			return KIOKU_ERROR_UNSUPPORTED;
		TRY(address_read_u64(&kernel->space, timer->address - place.offset + target.offset,
				     &word, NULL));
		*(purposes[i].is_task ? &out->task : &out->function) = word;
		return KIOKU_OK;
	}
	return KIOKU_OK;
}

/* --- descriptors */

uint64_t timer_descriptor(struct kioku_kernel *kernel, const struct timer *timer,
			  const struct timer_purpose *purpose)
{
	uint64_t of_timer = kernel_symbol(kernel, "timerfd_tmrproc");
	uint64_t of_alarm = kernel_symbol(kernel, "timerfd_alarmproc");
	const char *member = of_timer && timer->function == of_timer     ? "t.tmr"
			     : of_alarm && purpose->function == of_alarm ? "t.alarm.timer"
									 : NULL;
	struct type_place place;

	if (!member || !types_find_place(kernel->types, "struct timerfd_ctx", member, &place))
		return 0;
	return timer->address - place.offset;
}

enum kioku_status timer_descriptor_of_file(struct kioku_kernel *kernel, uint64_t file,
					   uint64_t *out)
{
	static const char *const operations[] = { "timerfd_fops", NULL };

	return file_object(kernel, file, operations, out);
}
