/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of a made kernel: tables of operations, what is typed, entries of /proc, system calls, writable code. */
#include "check/check.h"
#include "kernel/orc.h"
#include "test_kernel.h"

/* The kernel's image, of which the code is the first part, then constants, then what can be written to. */
#define TEXT     (MADE_BASE + 0x100000)
#define RODATA   (MADE_BASE + 0x200000)
#define DATA     (MADE_BASE + 0x210000)
#define END      (MADE_BASE + 0x220000)
#define FUNCTION (TEXT + 0x100)
#define STRANGER (MADE_BASE + 0x300000) /* code of nobody */
#define HEAP     (MADE_BASE + 0x400000)
#define NOWHERE  (MADE_BASE + MACHINE_SIZE + 0x1000)

static const char layout[] =
	"call fn\n"
	"struct list_head 16 next u64@0 prev u64@8\n"
	"struct rb_node 24 __rb_parent_color u64@0 rb_right u64@8 rb_left u64@16\n"
	"struct rb_root 8 rb_node u64@0\n"
	"struct module 64 state u32@0 list list_head@8 name char[32]@24\n"
	"struct input_handler 64 private u64@0 event fn@8 connect fn@16 name u64@24 node "
	"list_head@32\n"
	"struct tty_struct 128 driver u64@0 ops u64@8 ldisc u64@16 name char[64]@24\n"
	"struct tty_ldisc 16 ops u64@0 tty u64@8\n"
	"struct tty_driver 64 tty_drivers list_head@0 name u64@16 ops u64@24 ttys u64@32 owner "
	"u64@40 num u32@48\n"
	"struct tty_ldisc_ops 32 name u64@0 open fn@8 receive_buf fn@16\n"
	"struct tty_operations 16 open fn@0 close fn@8\n"
	"struct sysrq_key_op 16 handler fn@0 help_msg u64@8\n"
	"struct file 32 f_op u64@0 private_data u64@8\n"
	"struct tty_file_private 16 tty u64@0 file u64@8\n"
	"struct proc_ops 32 proc_flags u32@0 proc_open fn@8 proc_read fn@16\n"
	"struct file_operations 32 owner u64@0 open fn@8\n"
	"struct inode_operations 16 lookup fn@0\n"
	"struct dentry_operations 16 d_hash fn@0\n"
	"struct seq_operations 32 start fn@0 stop fn@8 next fn@16 show fn@24\n"
	"struct sock_common 64 skc_prot u64@0 skc_family u16@8 skc_state u8@10\n"
	"struct sock 128 __sk_common sock_common@0 sk_socket u64@64 sk_data_ready fn@72\n"
	"struct socket 32 ops u64@0 sk u64@8\n"
	"struct proto 64 close fn@0 shutdown fn@8 node list_head@16 name char[32]@32\n"
	"struct proc_dir_entry 128 proc_iops u64@0 proc_ops u64@8 proc_dops u64@16 seq_ops u64@24 "
	"write fn@32 parent u64@40 subdir rb_root@48 subdir_node rb_node@56 name u64@80 mode "
	"u16@88 "
	"flags u8@90 namelen u8@91\n";

struct given {
	struct check_result results[8];
	char subjects[8][256], found[8][512], expected[8][128];
	size_t count;
};

static enum kioku_status take(void *user, const char *check, const struct check_result *result)
{
	struct given *given = user;

	CHECK(given->count < 8);
	given->results[given->count] = *result;
	snprintf(given->subjects[given->count], 256, "%s", result->subject ? result->subject : "");
	snprintf(given->found[given->count], 512, "%s", result->found);
	snprintf(given->expected[given->count++], 128, "%s", result->expected);
	return KIOKU_OK;
}

static size_t run(struct made *made, const struct check *check, struct given *given)
{
	const struct checks_options options = { .glob = check->name };

	made->gaps = 0;
	*given = (struct given){ .count = 0 };
	CHECK_EQUAL(checks_run(&made->kernel, &options, take, given, NULL), KIOKU_OK);
	return given->count;
}

static bool is(const struct given *given, size_t i, enum check_severity severity,
	       const char *subject, const char *found)
{
	return i < given->count && given->results[i].severity == severity &&
	       strstr(given->subjects[i], subject) && strstr(given->found[i], found);
}

static void put_list(struct made *made, uint64_t head, uint64_t node)
{
	made_put(made, head, 8, node);
	made_put(made, head + 8, 8, node);
	made_put(made, node, 8, head);
	made_put(made, node + 8, 8, head);
}

static void make(struct made *made)
{
	made_open(made, layout);
	made_symbol(made, "_text", TEXT);
	made_symbol(made, "_stext", TEXT);
	made_symbol(made, "do_work", FUNCTION);
	made_symbol(made, "_etext", RODATA);
	made_symbol(made, "__start_rodata", RODATA);
	made_symbol(made, "__end_rodata", DATA);
	made_symbol(made, "_end", END);
}

/* A list of modules that can be read, and is empty. */
static void make_modules(struct made *made)
{
	made_symbol(made, "modules", DATA + 0xf000);
	put_list(made, DATA + 0xf000, DATA + 0xf000);
}

/* --- terminals and input */

#define INPUT_LIST DATA
#define HANDLER    (DATA + 0x100)
#define DRIVERS    (DATA + 0x200)
#define DRIVER     (HEAP + 0x1000)
#define TERMINAL   (HEAP + 0x2000)
#define LDISC      (HEAP + 0x3000)
#define LDISC_OPS  (DATA + 0x300)
#define TTY_OPS    (RODATA + 0x100)
#define KEYS       (DATA + 0x400)

static void make_terminals(struct made *made)
{
	make(made);
	made_symbol(made, "input_handler_list", INPUT_LIST);
	put_list(made, INPUT_LIST, HANDLER + 32);
	made_set(made, HANDLER, "input_handler", "event", FUNCTION);
	made_symbol(made, "tty_drivers", DRIVERS);
	put_list(made, DRIVERS, DRIVER);
	made_set(made, DRIVER, "tty_driver", "ops", TTY_OPS);
	made_set(made, DRIVER, "tty_driver", "ttys", DRIVER + 0x100);
	made_set(made, DRIVER, "tty_driver", "num", 1);
	made_put(made, DRIVER + 0x100, 8, TERMINAL);
	made_set(made, TERMINAL, "tty_struct", "driver", DRIVER);
	made_set(made, TERMINAL, "tty_struct", "ops", TTY_OPS);
	made_set(made, TERMINAL, "tty_struct", "ldisc", LDISC);
	made_text(made, TERMINAL + 24, "tty1");
	made_set(made, LDISC, "tty_ldisc", "ops", LDISC_OPS);
	made_set(made, LDISC, "tty_ldisc", "tty", TERMINAL);
	made_set(made, LDISC_OPS, "tty_ldisc_ops", "receive_buf", FUNCTION);
	made_symbol(made, "sysrq_key_table", KEYS);
	made_symbol(made, "behind_keys", KEYS + 16);
	made_put(made, KEYS, 8, HEAP + 0x4000);
	made_set(made, HEAP + 0x4000, "sysrq_key_op", "handler", FUNCTION);
}

/* Of open terminals there are none: there are no tasks. */
static size_t terminals(struct made *made, struct given *given)
{
	return run(made, &terminals_check, given);
}

static void finds_hooks_of_terminals(void)
{
	struct given given;
	struct made made;

	make_terminals(&made);
	CHECK_EQUAL(terminals(&made, &given), 0);
	made_set(&made, HANDLER, "input_handler", "event", STRANGER);
	made_set(&made, LDISC_OPS, "tty_ldisc_ops", "receive_buf", STRANGER);
	made_set(&made, HEAP + 0x4000, "sysrq_key_op", "handler", STRANGER);
	CHECK_EQUAL(terminals(&made, &given), 3);
	CHECK(is(&given, 0, CHECK_FINDING, "terminal tty1: tty_ldisc_ops.receive_buf",
		 "in no code"));
	CHECK(is(&given, 1, CHECK_FINDING, "input handler ?: input_handler.event", "in no code"));
	CHECK(is(&given, 2, CHECK_FINDING, "sysrq key 0: sysrq_key_op.handler", "in no code"));
	made_close(&made);
}

/* A driver that is built in has the kernel's operations. */
static void finds_operations_elsewhere(void)
{
	struct given given;
	struct made made;

	make_terminals(&made);
	made_set(&made, TERMINAL, "tty_struct", "ops", HEAP + 0x5000);
	made_set(&made, HEAP + 0x5000, "tty_operations", "open", STRANGER);
	CHECK_EQUAL(terminals(&made, &given), 1);
	CHECK(is(&given, 0, CHECK_FINDING, "terminal tty1: tty_operations", "whose open is"));
	/* A copy that leads to the kernel only is no more than strange. */
	made_set(&made, HEAP + 0x5000, "tty_operations", "open", FUNCTION);
	CHECK_EQUAL(terminals(&made, &given), 1);
	CHECK(is(&given, 0, CHECK_NOTE, "terminal tty1", "no functions but the kernel's"));
	made_close(&made);
}

static void survives_terminals(void)
{
	static const uint64_t wild[] = { 0x1000, NOWHERE, 0xffffffffffffff00 };
	struct given given;
	struct made made;

	for (size_t i = 0; i < sizeof(wild) / sizeof(*wild); i++) {
		make_terminals(&made);
		made_set(&made, LDISC_OPS, "tty_ldisc_ops", "receive_buf", wild[i]);
		made_set(&made, TERMINAL, "tty_struct", "ops", wild[i]);
		CHECK_EQUAL(terminals(&made, &given), 0);
		CHECK(made.gaps >= 2);
		made_set(&made, TERMINAL, "tty_struct", "ldisc", wild[i]);
		made_set(&made, DRIVER, "tty_driver", "num", 0xffffffff);
		CHECK_EQUAL(terminals(&made, &given), 0);
		made_set(&made, DRIVER, "tty_driver", "ttys", wild[i]);
		made_put(&made, DRIVERS, 8, wild[i]);
		CHECK_EQUAL(terminals(&made, &given), 0);
		made_close(&made);
	}
}

/* --- entries of /proc */

#define ROOT  (DATA + 0x1000)
#define ENTRY (HEAP + 0x10000)
#define IOPS  (RODATA + 0x200)
#define OPS   (HEAP + 0x11000)
#define SEQ   (HEAP + 0x12000)

static void make_entries(struct made *made)
{
	make(made);
	make_modules(made);
	made_symbol(made, "proc_root", ROOT);
	made_symbol(made, "proc_seq_ops", RODATA + 0x300);
	made_set(made, ROOT, "proc_dir_entry", "mode", 0040555);
	made_set(made, ROOT, "proc_dir_entry", "parent", ROOT);
	made_set(made, ROOT, "proc_dir_entry", "subdir.rb_node", ENTRY + 56);
	made_set(made, ENTRY, "proc_dir_entry", "parent", ROOT);
	made_set(made, ENTRY, "proc_dir_entry", "mode", 0100444);
	made_set(made, ENTRY, "proc_dir_entry", "name", HEAP);
	made_set(made, ENTRY, "proc_dir_entry", "namelen", 5);
	made_text(made, HEAP, "thing");
	made_set(made, ENTRY, "proc_dir_entry", "proc_iops", IOPS);
	made_set(made, ENTRY, "proc_dir_entry", "proc_ops", OPS);
	made_set(made, OPS, "proc_ops", "proc_open", FUNCTION);
	made_set(made, SEQ, "seq_operations", "show", STRANGER);
}

static void finds_hooks_of_entries(void)
{
	struct given given;
	struct made made;

	make_entries(&made);
	CHECK_EQUAL(run(&made, &proc_entries_check, &given), 0);
	/* What serves sequences has them beside it; to others that member is something else. */
	made_set(&made, ENTRY, "proc_dir_entry", "seq_ops", SEQ);
	CHECK_EQUAL(run(&made, &proc_entries_check, &given), 0);
	made_set(&made, ENTRY, "proc_dir_entry", "proc_ops", RODATA + 0x300);
	CHECK_EQUAL(run(&made, &proc_entries_check, &given), 1);
	CHECK(is(&given, 0, CHECK_FINDING, "/proc/thing: seq_operations.show", "in no code"));
	/* A table of operations for inodes is the kernel's always. */
	made_set(&made, ENTRY, "proc_dir_entry", "proc_iops", HEAP + 0x13000);
	made_set(&made, HEAP + 0x13000, "inode_operations", "lookup", STRANGER);
	CHECK_EQUAL(run(&made, &proc_entries_check, &given), 2);
	CHECK(is(&given, 0, CHECK_FINDING, "/proc/thing: inode_operations", "whose lookup is"));
	made_close(&made);
}

static void doubts_without_modules(void)
{
	struct given given;
	struct made made;

	make_entries(&made);
	made_set(&made, OPS, "proc_ops", "proc_read", STRANGER);
	CHECK_EQUAL(run(&made, &proc_entries_check, &given), 1);
	CHECK(is(&given, 0, CHECK_FINDING, "/proc/thing: proc_ops.proc_read", "in no code"));
	made_put(&made, DATA + 0xf000, 8, NOWHERE);
	made_put(&made, DATA + 0xf008, 8, NOWHERE);
	CHECK_EQUAL(run(&made, &proc_entries_check, &given), 1);
	CHECK(is(&given, 0, CHECK_NOTE, "/proc/thing", "its list of modules is damaged"));
	made_close(&made);
}

static void survives_entries(void)
{
	struct given given;
	struct made made;

	make_entries(&made);
	made_set(&made, OPS, "proc_ops", "proc_open", NOWHERE);
	CHECK(run(&made, &proc_entries_check, &given) == 0 && made.gaps > 0);
	/* A folder in itself, an entry of another folder, a name that is none. */
	made_set(&made, ENTRY, "proc_dir_entry", "mode", 0040555);
	made_set(&made, ENTRY, "proc_dir_entry", "proc_ops", 0);
	made_set(&made, ENTRY, "proc_dir_entry", "subdir.rb_node", ENTRY + 56);
	CHECK(run(&made, &proc_entries_check, &given) == 0 && made.gaps > 0);
	made_set(&made, ENTRY, "proc_dir_entry", "parent", ENTRY);
	CHECK(run(&made, &proc_entries_check, &given) == 0 && made.gaps > 0);
	made_set(&made, ENTRY, "proc_dir_entry", "parent", ROOT);
	made_set(&made, ENTRY, "proc_dir_entry", "namelen", 200);
	CHECK(run(&made, &proc_entries_check, &given) == 0 && made.gaps > 0);
	made_set(&made, ROOT, "proc_dir_entry", "subdir.rb_node", NOWHERE);
	CHECK(run(&made, &proc_entries_check, &given) == 0 && made.gaps > 0);
	made_close(&made);
}

/* --- protocols */

#define PROTOCOLS DATA
#define PROTOCOL  (DATA + 0x100)

static void finds_hooks_of_protocols(void)
{
	struct given given;
	struct made made;

	make(&made);
	make_modules(&made);
	made_symbol(&made, "proto_list", PROTOCOLS);
	put_list(&made, PROTOCOLS, PROTOCOL + 16);
	made_text(&made, PROTOCOL + 32, "TCP");
	made_set(&made, PROTOCOL, "proto", "close", FUNCTION);
	CHECK_EQUAL(run(&made, &socket_operations_check, &given), 0);
	made_set(&made, PROTOCOL, "proto", "shutdown", STRANGER);
	CHECK_EQUAL(run(&made, &socket_operations_check, &given), 1);
	CHECK(is(&given, 0, CHECK_FINDING, "protocol TCP: proto.shutdown", "in no code"));
	CHECK(given.results[0].address == PROTOCOL + 8);
	/* What cannot be code is damage. */
	made_set(&made, PROTOCOL, "proto", "shutdown", NOWHERE);
	CHECK(run(&made, &socket_operations_check, &given) == 0 && made.gaps > 0);
	made_put(&made, PROTOCOLS, 8, NOWHERE);
	made_put(&made, PROTOCOLS + 8, 8, NOWHERE);
	CHECK(run(&made, &socket_operations_check, &given) == 0 && made.gaps > 0);
	made_close(&made);
}

/* --- system calls */

#define TABLE      (RODATA + 0x1000)
#define DISPATCHER (TEXT + 0x4000)
#define CALLER     (TEXT + 0x5000)

static void put_call(struct made *made, uint64_t at, uint64_t to)
{
	made_put(made, at, 1, 0xe8);
	made_put(made, at + 1, 4, to - at - 5);
}

/* One system call, by a dispatcher that is called. */
static void make_calls(struct made *made)
{
	make(made);
	make_modules(made);
	made_symbol(made, "__x64_sys_read", TEXT + 0x3000);
	made_symbol(made, "x64_sys_call", DISPATCHER);
	made_symbol(made, "do_syscall_64", CALLER);
	made_symbol(made, "behind_caller", CALLER + 0x100);
	made_symbol(made, "entry_SYSCALL_64", TEXT + 0x6000);
	made_symbol(made, "sys_call_table", TABLE);
	made_symbol(made, "behind_table", TABLE + 8);
	made_put(made, TABLE, 8, TEXT + 0x3000);
	put_call(made, CALLER + 0x10, DISPATCHER);
}

static void asks_code_for_dispatch(void)
{
	struct given given;
	struct made made;

	make_calls(&made);
	CHECK_EQUAL(run(&made, &syscall_table_check, &given), 1);
	CHECK(is(&given, 0, CHECK_NOTE, "", "not verifiable"));
	made_put(&made, TABLE, 8, STRANGER);
	CHECK_EQUAL(run(&made, &syscall_table_check, &given), 2);
	CHECK(is(&given, 0, CHECK_FINDING, "system call 0", "in no code"));
	CHECK(strstr(given.expected[0], "not dispatched by this table"));
	/* The dispatcher goes elsewhere, which may use the table. */
	made_put(&made, DISPATCHER, 1, 0xe9);
	made_put(&made, DISPATCHER + 1, 4, STRANGER - DISPATCHER - 5);
	CHECK_EQUAL(run(&made, &syscall_table_check, &given), 2);
	CHECK(strstr(given.expected[0], "is not known"));
	/* So does what calls it. */
	put_call(&made, CALLER + 0x10, STRANGER);
	CHECK_EQUAL(run(&made, &syscall_table_check, &given), 3);
	CHECK(is(&given, 0, CHECK_FINDING, "calls of x64_sys_call", "it calls"));
	CHECK(given.results[0].address == CALLER + 0x10);
	/* The table is used: relative to the instruction pointer. */
	made_put(&made, CALLER + 0x20, 4, TABLE - (CALLER + 0x24));
	CHECK_EQUAL(run(&made, &syscall_table_check, &given), 2);
	CHECK(strcmp(given.expected[0], "a system call of the kernel") == 0);
	made_close(&made);
}

/* --- writable code */

static void set_page(struct made *made, uint64_t at, uint64_t more)
{
	machine_put(&made->machine, machine_entry(&made->machine, at, 2),
		    (at - MADE_BASE) | ENTRY_PRESENT | ENTRY_LARGE | more);
}

static void finds_writable_code(void)
{
	struct given given;
	struct made made;

	make(&made);
	/* All of it is, the kernel's own too: it protects nothing. */
	CHECK(run(&made, &writable_code_check, &given) > 0);
	CHECK(is(&given, 0, CHECK_NOTE, "", "does not protect"));
	set_page(&made, MADE_BASE, 0);
	for (uint64_t at = 1 << 21; at < MACHINE_SIZE; at += 1 << 21)
		set_page(&made, MADE_BASE + at, ENTRY_WRITE | ENTRY_NX);
	made.kernel.space = made.machine.space;
	CHECK_EQUAL(run(&made, &writable_code_check, &given), 0);
	set_page(&made, HEAP, ENTRY_WRITE);
	CHECK_EQUAL(run(&made, &writable_code_check, &given), 1);
	CHECK(is(&given, 0, CHECK_FINDING, "", "512 pages from 0x"));
	CHECK(given.results[0].address == HEAP);
	made_close(&made);
}

TAP_MAIN(TEST(finds_hooks_of_terminals), TEST(finds_operations_elsewhere), TEST(survives_terminals),
	 TEST(finds_hooks_of_entries), TEST(doubts_without_modules), TEST(survives_entries),
	 TEST(finds_hooks_of_protocols), TEST(asks_code_for_dispatch), TEST(finds_writable_code))
