/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Timers of a made kernel, of wheels, of clocks and of processes: whole, damaged and hostile. */
#include "kernel/process_timer.h"
#include "kernel/timer.h"
#include "test_kernel.h"

#define WHEELS  (MADE_BASE + 0x100000)
#define CLOCKS  (MADE_BASE + 0x110000)
#define TIMERS  (MADE_BASE + 0x120000)
#define SOURCE  (MADE_BASE + 0x130000) /* of ticks */
#define SIGNAL  (MADE_BASE + 0x140000)
#define CREATED (MADE_BASE + 0x150000)
#define CODE    0xffffffff81000000ull

enum { WHEEL_SIZE = 0x80, HEADS = 0x40, CLOCK_SIZE = 0x40, BASES = 0x40, TICK = 4000000 };
enum { JIFFIES = 1000, NOW = 50000000 };

#define COMMON                                                                                  \
	"struct list_head 16 next u64@0 prev u64@8\n"                                           \
	"struct hlist_head 8 first u64@0\n"                                                     \
	"struct hlist_node 16 next u64@0 pprev u64@8\n"                                         \
	"struct timer_list 40 entry hlist_node@0 expires u64@16 function u64@24 flags u32@32\n" \
	"struct timer_base 128 cpu u32@0 vectors u64[8]@64\n"                                   \
	"struct clocksource 16 mult u32@0 shift u32@4\n"                                        \
	"struct work_struct 32 data u64@0 func u64@24\n"                                        \
	"struct delayed_work 88 work work_struct@0 timer timer_list@32\n"                       \
	"struct process_timer 48 timer timer_list@0 task u64@40\n"                              \
	"struct rb_node 24 __rb_parent_color u64@0 rb_right u64@8 rb_left u64@16\n"             \
	"struct rb_root 8 rb_node u64@0\n"                                                      \
	"enum hrtimer_base_type HRTIMER_BASE_MONOTONIC=0 HRTIMER_BASE_MONOTONIC_SOFT=1\n"

/* 5.4 to 7.0, and 7.1 on. */
static const char tree_layout[] = COMMON
	"struct rb_root_cached 16 rb_root rb_root@0 rb_leftmost u64@8\n"
	"struct timerqueue_head 16 rb_root rb_root_cached@0\n"
	"struct timerqueue_node 32 node rb_node@0 expires u64@24\n"
	"struct hrtimer 64 node timerqueue_node@0 _softexpires u64@32 function u64@40 base u64@48 "
	"state u8@56 is_rel u8@57 is_soft u8@58 is_hard u8@59\n"
	"struct hrtimer_clock_base 64 cpu_base u64@0 index u32@8 clockid s32@12 active "
	"timerqueue_head@32\n"
	"struct hrtimer_cpu_base 192 cpu u32@4 clock_base hrtimer_clock_base[2]@64\n";

static const char linked_layout[] = COMMON
	"struct rb_root_linked 16 rb_root rb_root@0 rb_leftmost u64@8\n"
	"struct timerqueue_linked_head 16 rb_root rb_root_linked@0\n"
	"struct rb_node_linked 40 node rb_node@0 prev u64@24 next u64@32\n"
	"struct timerqueue_linked_node 48 node rb_node_linked@0 expires u64@40\n"
	"struct hrtimer 80 node timerqueue_linked_node@0 base u64@48 is_queued u8@56 is_rel u8@57 "
	"is_soft u8@58 is_hard u8@59 is_lazy u8@60 _softexpires u64@64 function u64@72\n"
	"struct hrtimer_clock_base 64 cpu_base u64@0 index u32@8 clockid s32@12 active "
	"timerqueue_linked_head@40\n"
	"struct hrtimer_cpu_base 192 cpu u32@4 clock_base hrtimer_clock_base[2]@64\n";

struct given {
	struct timer timers[16];
	size_t count;
};

static enum kioku_status take(void *user, const struct timer *timer)
{
	struct given *given = user;

	CHECK(given->count < 16);
	given->timers[given->count++] = *timer;
	return KIOKU_OK;
}

static size_t walk(struct made *made, struct given *given)
{
	given->count = 0;
	made->gaps = 0;
	CHECK_EQUAL(timer_each(&made->kernel, take, given, NULL), KIOKU_OK);
	return given->count;
}

static uint64_t timer(unsigned i)
{
	return TIMERS + 0x100 * i;
}

/* The first of a chain, or behind another one. */
static void link_timer(struct made *made, unsigned i, uint64_t from, uint32_t flags)
{
	made_put(made, from, 8, timer(i));
	made_put(made, timer(i) + 8, 8, from);
	made_set(made, timer(i), "timer_list", "expires", JIFFIES + 10 * i);
	made_set(made, timer(i), "timer_list", "function", CODE + i);
	made_set(made, timer(i), "timer_list", "flags", flags);
}

static uint64_t base(unsigned i)
{
	return CLOCKS + BASES + CLOCK_SIZE * i;
}

static void queue_timer(struct made *made, unsigned i, uint64_t parent, uint64_t of,
			const char *queued)
{
	made_put(made, timer(i), 8, parent);
	made_set(made, timer(i), "hrtimer", "node.expires", NOW + i);
	made_set(made, timer(i), "hrtimer", "function", CODE + i);
	made_set(made, timer(i), "hrtimer", "base", of);
	made_set(made, timer(i), "hrtimer", queued, 1);
}

/* Timers 1 and 2 of one chain, 3 deferrable; of clocks 4 with 5 and 6 below it, and 7 of the soft one. */
static void make(struct made *made, const char *layout)
{
	const char *queued = layout == linked_layout ? "is_queued" : "state";

	made_open(made, layout);
	made->kernel.boot_offset_known = true;
	made->kernel.real_offset = 7000;
	made->kernel.wall_time = NOW + 7000;
	made_variable(made, "jiffies", JIFFIES);
	made_symbol(made, "clocksource_jiffies", SOURCE);
	made_set(made, SOURCE, "clocksource", "mult", (uint64_t)TICK << 8);
	made_set(made, SOURCE, "clocksource", "shift", 8);
	made_symbol(made, "timer_bases", WHEELS);
	made_symbol(made, "behind", WHEELS + 2 * WHEEL_SIZE);
	made_symbol(made, "hrtimer_bases", CLOCKS);
	link_timer(made, 1, WHEELS + HEADS + 8, 0x100000);
	link_timer(made, 2, timer(1), 0x200000);
	link_timer(made, 3, WHEELS + WHEEL_SIZE + HEADS, 0x80000);
	for (unsigned i = 0; i < 2; i++) {
		made_set(made, base(i), "hrtimer_clock_base", "cpu_base", CLOCKS);
		made_set(made, base(i), "hrtimer_clock_base", "index", i);
		made_set(made, base(i), "hrtimer_clock_base", "clockid", 1);
		made_set(made, base(i), "hrtimer_clock_base", "active.rb_root.rb_root.rb_node",
			 timer(i ? 7 : 5));
	}
	queue_timer(made, 5, 0, base(0), queued);
	queue_timer(made, 4, timer(5), base(0), queued);
	queue_timer(made, 6, timer(5) | 1, base(0), queued);
	queue_timer(made, 7, 1, base(1), queued);
	made_put(made, timer(5) + 8, 8, timer(6));
	made_put(made, timer(5) + 16, 8, timer(4));
}

static void gives_all(const char *layout)
{
	struct given given;
	struct made made;

	make(&made, layout);
	CHECK_EQUAL(walk(&made, &given), 7);
	CHECK_EQUAL(made.gaps, 0);
	for (unsigned i = 0; i < 7; i++) {
		const struct timer *found = &given.timers[i];
		CHECK(found->address == timer(i + 1) && found->function == CODE + i + 1);
		CHECK_EQUAL(found->flags_status, KIOKU_OK);
		CHECK(found->time_is_known &&
		      found->kind == (i < 3 ? TIMER_OF_WHEEL : TIMER_OF_CLOCK));
		CHECK_EQUAL(found->expires, i < 3 ? JIFFIES + 10 * (i + 1) : NOW + i + 1);
		CHECK_EQUAL(found->time - made.kernel.wall_time,
			    i < 3 ? 10 * (int64_t)(i + 1) * TICK : (int64_t)i + 1);
	}
	CHECK(given.timers[0].flags == TIMER_PINNED && given.timers[1].flags == TIMER_IRQSAFE);
	CHECK(given.timers[2].flags == TIMER_DEFERRABLE);
	CHECK(strcmp(given.timers[1].base, "standard") == 0);
	CHECK(strcmp(given.timers[2].base, "deferrable") == 0);
	CHECK(strcmp(given.timers[5].base, "hard") == 0);
	CHECK(strcmp(given.timers[6].base, "soft") == 0);
	CHECK(strcmp(given.timers[6].clock, "monotonic") == 0);
	made_close(&made);
}

static void gives_timers_of_trees(void)
{
	gives_all(tree_layout);
}

static void gives_timers_of_linked_trees(void)
{
	gives_all(linked_layout);
}

/* A timer that says that it is another CPU's or another base's is given, without its flags. */
static void doubts_flags(void)
{
	struct given given;
	struct made made;

	make(&made, tree_layout);
	made_set(&made, timer(1), "timer_list", "flags", 1);
	made_set(&made, timer(3), "timer_list", "flags", 0);
	CHECK_EQUAL(walk(&made, &given), 7);
	CHECK_EQUAL(given.timers[0].flags_status, KIOKU_ERROR_CORRUPT);
	CHECK_EQUAL(given.timers[1].flags_status, KIOKU_OK);
	CHECK_EQUAL(given.timers[2].flags_status, KIOKU_ERROR_CORRUPT);
	made_close(&made);
}

static void survives_damage(void)
{
	struct given given;
	struct made made;

	make(&made, tree_layout);
	/* A circle; a pointer to nowhere; a wheel of another CPU. */
	made_put(&made, timer(2), 8, timer(1));
	CHECK(walk(&made, &given) == 7 && made.gaps == 1);
	made_put(&made, timer(2), 8, 0x1234);
	CHECK(walk(&made, &given) == 7 && made.gaps == 1);
	made_put(&made, timer(2), 8, 0);
	made_set(&made, WHEELS, "timer_base", "cpu", 1);
	CHECK(walk(&made, &given) == 5 && made.gaps == 1);
	made_set(&made, WHEELS, "timer_base", "cpu", 0);
	/* Of another clock; not queued; a base that is not this CPU's, and one of no known clock. */
	made_set(&made, timer(4), "hrtimer", "base", base(1));
	CHECK(walk(&made, &given) == 6 && made.gaps == 1);
	made_set(&made, timer(6), "hrtimer", "state", 0);
	CHECK(walk(&made, &given) == 5 && made.gaps == 2);
	made_set(&made, base(0), "hrtimer_clock_base", "cpu_base", CLOCKS + 8);
	CHECK(walk(&made, &given) == 4 && made.gaps == 1);
	made_set(&made, base(1), "hrtimer_clock_base", "clockid", 3);
	CHECK(walk(&made, &given) == 3 && made.gaps == 2);
	/* Without the length of a tick, and with an absurd one, there is no time. */
	made_set(&made, SOURCE, "clocksource", "shift", 32);
	CHECK(walk(&made, &given) == 3 && !given.timers[0].time_is_known);
	made_set(&made, SOURCE, "clocksource", "shift", 0);
	made_set(&made, SOURCE, "clocksource", "mult", UINT32_MAX);
	made_set(&made, timer(1), "timer_list", "expires", UINT64_MAX >> 1);
	CHECK(walk(&made, &given) == 3 && !given.timers[0].time_is_known);
	made_close(&made);
}

static void looks_behind(void)
{
	struct timer delayed = { .function = CODE, .address = TIMERS + 32 };
	struct timer sleeping = { .function = CODE + 0x10, .address = TIMERS + 0x100 };
	struct timer other = { .function = CODE + 0x20, .address = TIMERS };
	struct timer_purpose purpose;
	struct made made;

	made_open(&made, tree_layout);
	made_symbol(&made, "delayed_work_timer_fn", CODE);
	made_symbol(&made, "process_timeout", CODE + 0x10);
	made_set(&made, TIMERS, "delayed_work", "work.func", 77);
	made_set(&made, TIMERS + 0x100, "process_timer", "task", 88);
	CHECK_EQUAL(timer_purpose(&made.kernel, &delayed, &purpose), KIOKU_OK);
	CHECK(purpose.function == 77 && purpose.task == 0);
	CHECK_EQUAL(timer_purpose(&made.kernel, &sleeping, &purpose), KIOKU_OK);
	CHECK(purpose.function == 0 && purpose.task == 88);
	CHECK_EQUAL(timer_purpose(&made.kernel, &other, &purpose), KIOKU_OK);
	CHECK(purpose.function == 0 && purpose.task == 0);
	delayed.address = 0x1234;
	CHECK(timer_purpose(&made.kernel, &delayed, &purpose) != KIOKU_OK);
	made_close(&made);
}

/* --- processes */

/* Until 6.11, and since 6.15: in a list, and in a chain. */
static const char list_layout[] =
	"struct list_head 16 next u64@0 prev u64@8\n"
	"struct hrtimer 64 expires u64@24\n"
	"struct cpu_itimer 16 expires u64@0 incr u64@8\n"
	"struct signal_struct 256 live s32@0 posix_timers list_head@16 real_timer hrtimer@32 "
	"it_real_incr u64@96 it cpu_itimer[2]@104\n"
	"struct siginfo 16 si_signo s32@0\n"
	"struct sigqueue 80 info siginfo@24\n"
	"struct real 64 timer hrtimer@0\n"
	"struct it 64 real real@0\n"
	"struct k_itimer 256 list list_head@0 it_clock s32@48 it_id s32@52 it_sigev_notify s32@84 "
	"it_interval u64@88 it_signal u64@96 sigq u64@112 it it@120\n";

static const char chain_layout[] =
	"struct hlist_head 8 first u64@0\n"
	"struct hlist_node 16 next u64@0 pprev u64@8\n"
	"struct hrtimer 64 expires u64@24\n"
	"struct cpu_itimer 16 expires u64@0 incr u64@8\n"
	"struct signal_struct 256 live s32@0 posix_timers hlist_head@16 real_timer hrtimer@32 "
	"it_real_incr u64@96 it cpu_itimer[2]@104\n"
	"struct siginfo 16 si_signo s32@0\n"
	"struct sigqueue 80 info siginfo@24\n"
	"struct real 64 timer hrtimer@0\n"
	"struct it 64 real real@0\n"
	"struct k_itimer 384 list hlist_node@16 it_clock s32@36 it_id s32@32 it_sigev_notify "
	"s32@40 it_interval u64@104 it_signal u64@48 sigq sigqueue@136 it it@224\n";

struct owned {
	struct process_timer timers[8];
	size_t count;
};

static enum kioku_status take_owned(void *user, const struct process_timer *timer)
{
	struct owned *owned = user;

	CHECK(owned->count < 8);
	owned->timers[owned->count++] = *timer;
	return KIOKU_OK;
}

static size_t owned_by(struct made *made, uint64_t signal, struct owned *owned)
{
	const struct task task = { .tgid = 42, .comm = "made", .signal = signal };

	owned->count = 0;
	made->gaps = 0;
	CHECK_EQUAL(process_timer_each_of(&made->kernel, &task, take_owned, owned, NULL), KIOKU_OK);
	return owned->count;
}

static uint64_t created(unsigned i)
{
	return CREATED + 0x400 * i;
}

/* Two timers that were created, and setitimer()'s: the real one, and that of ITIMER_VIRTUAL. */
static void make_owned(struct made *made, const char *layout)
{
	bool is_list = layout == list_layout;
	unsigned node = is_list ? 0 : 16;

	made_open(made, layout);
	made_set(made, SIGNAL, "signal_struct", "live", 1);
	made_set(made, SIGNAL, "signal_struct", "it_real_incr", 9);
	made_put(made, SIGNAL + 104 + 16, 8, 500);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t from = i ? created(0) + node : SIGNAL + 16;
		made_put(made, from, 8, created(i) + node);
		made_put(made, created(i) + node + 8, 8, from);
		made_set(made, created(i), "k_itimer", "it_id", i);
		made_set(made, created(i), "k_itimer", "it_clock", 1);
		made_set(made, created(i), "k_itimer", "it_signal", SIGNAL | (i && !is_list));
		made_set(made, created(i), "k_itimer", "it_sigev_notify", i);
		if (is_list) {
			made_set(made, created(i), "k_itimer", "sigq", created(i) + 0x200);
			made_set(made, created(i) + 0x200, "sigqueue", "info.si_signo", 10);
		} else {
			made_set(made, created(i), "k_itimer", "sigq.info.si_signo", 10);
		}
	}
	if (is_list) {
		made_put(made, created(1), 8, SIGNAL + 16);
		made_put(made, SIGNAL + 24, 8, created(1));
	}
}

static void gives_owned(const char *layout)
{
	struct owned owned;
	struct made made;

	make_owned(&made, layout);
	CHECK_EQUAL(owned_by(&made, SIGNAL, &owned), 4);
	CHECK_EQUAL(made.gaps, 0);
	for (unsigned i = 0; i < 2; i++) {
		const struct process_timer *found = &owned.timers[i];
		CHECK(found->kind == TIMER_CREATED && found->address == created(i));
		CHECK(found->pid == 42 && found->id == (int32_t)i && found->clock == 1);
		CHECK_EQUAL(found->hrtimer - created(i), layout == list_layout ? 120 : 224);
		/* SIGEV_NONE */
		CHECK_EQUAL(found->has_signal, i == 0);
		CHECK_EQUAL(found->signal, i == 0 ? 10 : 0);
	}
	CHECK(owned.timers[2].kind == TIMER_REAL && owned.timers[2].interval == 9);
	CHECK(owned.timers[2].hrtimer == SIGNAL + 32);
	CHECK(owned.timers[3].kind == TIMER_VIRTUAL && owned.timers[3].expires == 500);
	/* Another process's; a chain that does not end; a process that has ended; no process at all. */
	made_set(&made, created(1), "k_itimer", "it_signal", SIGNAL + 64);
	CHECK(owned_by(&made, SIGNAL, &owned) == 3 && made.gaps == 1);
	made_put(&made, created(1) + (layout == list_layout ? 0 : 16), 8, created(0));
	CHECK(owned_by(&made, SIGNAL, &owned) == 3 && made.gaps >= 2);
	made_set(&made, SIGNAL, "signal_struct", "live", 0);
	CHECK(owned_by(&made, SIGNAL, &owned) == 0 && made.gaps == 0);
	CHECK(owned_by(&made, 0x1234, &owned) == 0 && made.gaps == 1);
	made_close(&made);
}

static void gives_timers_of_lists(void)
{
	gives_owned(list_layout);
}

static void gives_timers_of_chains(void)
{
	gives_owned(chain_layout);
}

TAP_MAIN(TEST(gives_timers_of_trees), TEST(gives_timers_of_linked_trees), TEST(doubts_flags),
	 TEST(survives_damage), TEST(looks_behind), TEST(gives_timers_of_lists),
	 TEST(gives_timers_of_chains))
