/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The notes of a process, read with the structs of libc's <sys/procfs.h>. */
#include <sys/procfs.h>

#include "format/core_format.h"
#include "format/elf_format.h"
#include "tap.h"

#define BYTES(array)                                    \
	{                                               \
		(const uint8_t *)(array), sizeof(array) \
	}

static const struct elf_header header = { .is_64 = true };

/* The notes, one after the other. */
struct walk {
	struct bytes notes;
	uint64_t offset;
};

static struct bytes next(struct walk *walk, const char *name, uint32_t type)
{
	struct elf_note note;

	CHECK(elf_note_decode(walk->notes, &header, 4, &walk->offset, &note));
	CHECK_EQUAL(note.type, type);
	CHECK(elf_note_is(&note, name, type));
	return note.description;
}

static struct walk encode(const struct core_process *process)
{
	struct walk walk = { 0 };

	walk.notes.data = core_notes_encode(process, &walk.notes.size);
	CHECK(walk.notes.data);
	return walk;
}

static void end(struct walk *walk)
{
	CHECK_EQUAL(walk->offset, walk->notes.size);
	free((void *)walk->notes.data);
}

static const uint64_t general[2][27] = { { 1, 2, [16] = 0x401000, [19] = 0x7ffe1000 },
					 { 3, 4, [16] = 0x402000, [19] = 0x7ffe2000 } };
static const uint8_t floating[512] = { 5 }, xstate[2696] = { 6 }, siginfo[128] = { 7 };
static const uint8_t other[24] = { 8 };
static const struct core_regset regset = { 0x204, BYTES(other) };

static const struct core_thread threads[] = {
	{ .tid = 1001,
	  .general = BYTES(general[0]),
	  .floating = BYTES(floating),
	  .xstate = BYTES(xstate),
	  .regsets = &regset,
	  .regset_count = 1,
	  .siginfo = BYTES(siginfo),
	  .pending = 0x1122334455667788,
	  .blocked = 0x8877665544332211,
	  .cursig = 11,
	  .user = { 12, 345678 },
	  .system = { 9, 876543 } },
	{ .tid = 1000, .general = BYTES(general[1]) },
};

static const uint64_t auxv[] = { 3, 0x400040, 0, 0 };
static const char arguments[] = "/bin/daemon\0--config\0/etc/daemon.conf";
static const struct core_file files[] = {
	{ 0x400000, 0x402000, 0, { (const uint8_t *)"/bin/daemon", 11 } },
	{ 0x7f0000000000, 0x7f0000001000, 0x23000, { (const uint8_t *)"/lib/x y.so", 11 } },
};

static const struct core_process process = {
	.pid = 1000,
	.ppid = 1,
	.pgrp = 900,
	.sid = 800,
	.uid = 33,
	.gid = 44,
	.flags = 0x400140,
	.nice = -5,
	.state = 'D',
	.name = "daemon",
	.arguments = BYTES(arguments),
	.auxv = BYTES(auxv),
	.files = files,
	.file_count = 2,
	.threads = threads,
	.thread_count = 2,
};

static void check_prstatus(struct bytes description, const struct core_thread *thread)
{
	struct elf_prstatus status;

	CHECK_EQUAL(description.size, sizeof(status));
	memcpy(&status, description.data, sizeof(status));
	CHECK_EQUAL(status.pr_info.si_signo, thread->cursig);
	CHECK_EQUAL(status.pr_info.si_code, 0);
	CHECK_EQUAL(status.pr_cursig, thread->cursig);
	CHECK_EQUAL(status.pr_sigpend, thread->pending);
	CHECK_EQUAL(status.pr_sighold, thread->blocked);
	CHECK_EQUAL(status.pr_pid, thread->tid);
	CHECK_EQUAL(status.pr_ppid, 1);
	CHECK_EQUAL(status.pr_pgrp, 900);
	CHECK_EQUAL(status.pr_sid, 800);
	CHECK_EQUAL(status.pr_utime.tv_sec, thread->user.seconds);
	CHECK_EQUAL(status.pr_utime.tv_usec, thread->user.microseconds);
	CHECK_EQUAL(status.pr_stime.tv_sec, thread->system.seconds);
	CHECK_EQUAL(status.pr_stime.tv_usec, thread->system.microseconds);
	CHECK_EQUAL(status.pr_cstime.tv_usec, 0);
	CHECK_EQUAL(sizeof(status.pr_reg), thread->general.size);
	CHECK(memcmp(status.pr_reg, thread->general.data, sizeof(status.pr_reg)) == 0);
	CHECK_EQUAL(status.pr_fpvalid, thread->floating.size > 0);
}

static void check_prpsinfo(struct bytes description)
{
	struct elf_prpsinfo info;

	CHECK_EQUAL(description.size, sizeof(info));
	memcpy(&info, description.data, sizeof(info));
	CHECK_EQUAL(info.pr_state, 2);
	CHECK_EQUAL(info.pr_sname, 'D');
	CHECK_EQUAL(info.pr_zomb, 0);
	CHECK_EQUAL(info.pr_nice, (char)-5);
	CHECK_EQUAL(info.pr_flag, 0x400140);
	CHECK_EQUAL(info.pr_uid, 33);
	CHECK_EQUAL(info.pr_gid, 44);
	CHECK_EQUAL(info.pr_pid, 1000);
	CHECK_EQUAL(info.pr_ppid, 1);
	CHECK_EQUAL(info.pr_pgrp, 900);
	CHECK_EQUAL(info.pr_sid, 800);
	CHECK(strcmp(info.pr_fname, "daemon") == 0);
	CHECK(strcmp(info.pr_psargs, "/bin/daemon --config /etc/daemon.conf") == 0);
}

static void check_files(struct bytes description)
{
	static const char names[] = "/bin/daemon\0/lib/x y.so";
	static const uint64_t numbers[] = { 2, 4096,           0x400000,       0x402000,
					    0, 0x7f0000000000, 0x7f0000001000, 0x23 };

	CHECK_EQUAL(description.size, sizeof(numbers) + sizeof(names));
	CHECK(memcmp(description.data, numbers, sizeof(numbers)) == 0);
	CHECK(memcmp(description.data + sizeof(numbers), names, sizeof(names)) == 0);
}

static void check_same(struct bytes description, struct bytes given)
{
	CHECK_EQUAL(description.size, given.size);
	CHECK(memcmp(description.data, given.data, given.size) == 0);
}

static void is_what_linux_writes(void)
{
	struct walk walk = encode(&process);

	check_prstatus(next(&walk, "CORE", NT_PRSTATUS), &threads[0]);
	check_prpsinfo(next(&walk, "CORE", NT_PRPSINFO));
	check_same(next(&walk, "CORE", NT_SIGINFO), threads[0].siginfo);
	check_same(next(&walk, "CORE", NT_AUXV), process.auxv);
	check_files(next(&walk, "CORE", NT_FILE));
	check_same(next(&walk, "CORE", NT_PRFPREG), threads[0].floating);
	check_same(next(&walk, "LINUX", NT_X86_XSTATE), threads[0].xstate);
	check_same(next(&walk, "LINUX", 0x204), regset.data);
	check_prstatus(next(&walk, "CORE", NT_PRSTATUS), &threads[1]);
	end(&walk);
}

/* pr_psargs ends in a NUL, whatever the arguments. */
static void cuts_long_arguments(void)
{
	uint8_t longer[200];
	struct core_process changed = process;
	struct elf_prpsinfo info;

	memset(longer, 'a', sizeof(longer));
	changed.arguments = (struct bytes){ longer, sizeof(longer) };
	changed.state = 't';
	memcpy(changed.name, "sixteen letters!", 16);
	struct walk walk = encode(&changed);
	next(&walk, "CORE", NT_PRSTATUS);
	memcpy(&info, next(&walk, "CORE", NT_PRPSINFO).data, sizeof(info));
	CHECK_EQUAL(info.pr_sname, '.');
	CHECK(memcmp(info.pr_fname, "sixteen letters!", 16) == 0);
	CHECK_EQUAL(strnlen(info.pr_psargs, sizeof(info.pr_psargs)), 79);
	free((void *)walk.notes.data);
}

static void takes_the_least(void)
{
	const struct core_thread thread = { .tid = 5, .general = BYTES(general[0]) };
	const struct core_process least = { .pid = 5, .threads = &thread, .thread_count = 1 };
	struct walk walk = encode(&least);

	next(&walk, "CORE", NT_PRSTATUS);
	next(&walk, "CORE", NT_PRPSINFO);
	CHECK_EQUAL(next(&walk, "CORE", NT_FILE).size, 16);
	end(&walk);
}

TAP_MAIN(TEST(is_what_linux_writes), TEST(cuts_long_arguments), TEST(takes_the_least))
