/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kernel/time/timekeeping.c: UTC = boot time + offs_real - offs_boot (v3.10 to v7.0). The struct
 * timekeeper lies in tk_core after a sequence counter, whose size depends on the configuration.
 */
#include "kernel/clock.h"
#include "kernel/record.h"
#include "kernel/timekeeper.h"

#define NANOSECONDS 1000000000ll

struct timekeeper {
	int64_t seconds, offset_real, offset_boot, offset_atomic;
	uint64_t nanoseconds, clock;
	uint32_t shift, multiplier;
};

static const struct member timekeeper_members[] = {
	MEMBER(struct timekeeper, seconds, "xtime_sec"),
	MEMBER(struct timekeeper, offset_real, "offs_real"),
	MEMBER(struct timekeeper, offset_boot, "offs_boot"),
	OPTIONAL(struct timekeeper, offset_atomic, "offs_tai"), /* v3.10 */
	/* struct tk_read_base came with v3.17, its name tkr_mono with v4.1 */
	MEMBER(struct timekeeper, nanoseconds, "tkr_mono.xtime_nsec", "tkr.xtime_nsec",
	       "xtime_nsec"),
	MEMBER(struct timekeeper, clock, "tkr_mono.clock", "tkr.clock", "clock"),
	MEMBER(struct timekeeper, shift, "tkr_mono.shift", "tkr.shift", "shift"),
	MEMBER(struct timekeeper, multiplier, "tkr_mono.mult", "tkr.mult", "mult"),
};

static const struct record timekeeper_record =
	RECORD(struct timekeeper, "timekeeper", timekeeper_members);

/* Whether these can be the members of a running timekeeper: they constrain each other. */
static bool is_plausible(const struct kioku_kernel *kernel, const struct timekeeper *timekeeper)
{
	int64_t uptime = timekeeper->seconds - timekeeper->offset_real / NANOSECONDS;

	return kernel_is_pointer(kernel, timekeeper->clock) && timekeeper->shift > 0 &&
	       timekeeper->shift <= 32 && timekeeper->multiplier > 0 && timekeeper->seconds > 0 &&
	       timekeeper->offset_real > 0 && timekeeper->offset_boot >= 0 && uptime >= -1 &&
	       uptime < 100ll * 366 * 86400;
}

static bool take(struct kioku_kernel *kernel, const struct binding *binding, uint64_t address)
{
	struct timekeeper timekeeper;

	if (record_read(kernel, binding, address, &timekeeper, NULL) != KIOKU_OK ||
	    !is_plausible(kernel, &timekeeper))
		return false;
	kernel->boot_offset = timekeeper.offset_real - timekeeper.offset_boot;
	kernel->real_offset = timekeeper.offset_real;
	kernel->atomic_offset =
		timekeeper.offset_atomic ? timekeeper.offset_atomic - timekeeper.offset_real : 0;
	kernel->wall_time = timekeeper.seconds * NANOSECONDS +
			    (int64_t)(timekeeper.nanoseconds >> timekeeper.shift);
	kernel->boot_offset_known = true;
	return true;
}

/* Where no symbol leads to it, as in kernels built without KALLSYMS_ALL. */
static bool take_by_times(struct kioku_kernel *kernel, const struct binding *binding)
{
	struct type_place seconds;
	uint64_t times;

	return types_find_place(kernel->types, timekeeper_record.type, "xtime_sec", &seconds) &&
	       (times = timekeeper_search(kernel)) != 0 &&
	       take(kernel, binding, times - seconds.offset);
}

void clock_read(struct kioku_kernel *kernel)
{
	/* The first of timekeeper_data since v6.17; tk_core since v3.17. */
	static const char *const names[] = { "timekeeper_data", "tk_core", "timekeeper" };
	const struct binding *binding;
	bool is_named = false;

	if (record_bind(kernel, &timekeeper_record, &binding, NULL) != KIOKU_OK)
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		uint64_t address = kernel_symbol(kernel, names[i]);
		is_named |= address != 0;
		/* The sequence counter before it is 4 bytes, more with lock debugging. */
		for (uint64_t skip = 0; address && skip <= 128; skip += 8)
			if (take(kernel, binding, address + skip))
				return;
	}
	if (!is_named)
		take_by_times(kernel, binding);
}

bool clock_from_boot(const struct kioku_kernel *kernel, uint64_t since_boot, int64_t *utc)
{
	return since_boot <= INT64_MAX / 2 &&
	       clock_from(kernel, CLOCK_OF_BOOT, (int64_t)since_boot, utc);
}

bool clock_from(const struct kioku_kernel *kernel, int32_t clock, int64_t time, int64_t *utc)
{
	if (!kernel->boot_offset_known)
		return false;
	switch (clock) {
	case CLOCK_OF_UTC: return !__builtin_add_overflow(time, 0, utc);
	case CLOCK_SINCE_BOOT: return !__builtin_add_overflow(kernel->real_offset, time, utc);
	case CLOCK_OF_BOOT: return !__builtin_add_overflow(kernel->boot_offset, time, utc);
	case CLOCK_ATOMIC: return !__builtin_sub_overflow(time, kernel->atomic_offset, utc);
	default: return false;
	}
}
