/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Executable memory that is of no file. Compilers at run time have it, so that there being some is a note. They call
 * the kernel from the code of libraries, though, and keep no ELF files in it: what does, was brought there.
 */
#include <stdio.h>
#include <string.h>

#include "base/growing.h"
#include "check/code_file.h"
#include "check/mapped_process.h"
#include "kernel/mapped_elf.h"
#include "kernel/registers.h"

#define VMA_GROWS_DOWN 0x100 /* VM_GROWSDOWN, include/linux/mm.h: a stack */

enum {
	HEADERS_LIMIT = 1 << 16, /* pages of a process whose beginning is looked at */
	NEIGHBOURS = 16,         /* mappings of a program before its code */
	ORIG_RAX = 15,           /* in struct registers; see enum register_index */
	PACKED_AREA =
		PAGE_SIZE, /* at the beginning of a program, where a packer says that it was one */
};

/* --- what there is, in one process */

enum memory_kind { MEMORY_PLAIN, MEMORY_HEAP, MEMORY_STACK, MEMORY_SHARED, MEMORY_KINDS };

static const char *const kind_names[MEMORY_KINDS] = {
	[MEMORY_PLAIN] = "anonymous memory",
	[MEMORY_HEAP] = "the heap",
	[MEMORY_STACK] = "a stack",
	[MEMORY_SHARED] = "shared memory without a file",
};

struct amount {
	uint64_t count, size, first;
	uint64_t writable; /* of count */
};

/* Threads that are in one kind of memory. */
struct presence {
	uint64_t count, address;
	int32_t first; /* its number */
};

struct search {
	struct check_run *run;
	const struct mapped_process *process;
	const char *excuse; /* why what would be a finding is none in this process; NULL: nothing */
	struct amount amounts[MEMORY_KINDS];
	struct presence running[MEMORY_KINDS], calling[MEMORY_KINDS];
	uint64_t pages; /* whose beginning was looked at */
	const struct vma *vma;
	uint64_t header; /* address of an ELF file in it; 0: none */
};

/* Shared memory, memfds and System V's are files of a tmpfs that nobody can name. */
static bool is_nameless_file(struct kioku_kernel *kernel, const struct vma *vma)
{
	struct mapped_file file;

	return vma->file && vma->flags & VMA_MAY_SHARE &&
	       mapped_file_read(kernel, vma->file, &file) == KIOKU_OK && file.is_nameless;
}

static bool kind_of(struct search *search, const struct vma *vma, enum memory_kind *out)
{
	const struct memory_map *map = &search->process->process->map;
	struct kioku_kernel *kernel = search->run->kernel;

	if (!(vma->flags & VMA_EXECUTE))
		return false;
	if (is_nameless_file(kernel, vma)) {
		*out = MEMORY_SHARED;
		return true;
	}
	if (!vma_is_anonymous(kernel, vma))
		return false;
	if (vma->flags & VMA_GROWS_DOWN)
		*out = MEMORY_STACK;
	else if (vma->start < map->brk_end && vma->end > map->brk_start)
		*out = MEMORY_HEAP;
	else
		*out = MEMORY_PLAIN;
	return true;
}

static enum kioku_status report(const struct search *search, const struct check_result *result)
{
	char found[2 * CHECK_TEXT];
	struct check_result whole = *result;
	const char *excuse = whole.severity == CHECK_FINDING ? search->excuse : NULL;

	whole.compared = "executable memory with the files and threads of the process";
	snprintf(found, sizeof(found), "%s%s%s", result->found, excuse ? "; " : "",
		 excuse ? excuse : "");
	whole.found = found;
	if (excuse) {
		whole.severity = CHECK_NOTE;
		whole.certainty = CHECK_POSSIBLE;
	}
	return mapped_process_report(search->process, &whole);
}

/* --- an ELF file in it */

static enum kioku_status look_for_header(void *user, const struct mapping *mapping)
{
	struct search *search = user;
	struct mapped_elf elf;

	for (uint64_t at = 0; at < mapping->size; at += PAGE_SIZE) {
		uint64_t page = mapping->virtual + at;
		if (page < search->vma->start || page >= search->vma->end)
			continue;
		if (search->pages++ >= HEADERS_LIMIT)
			return KIOKU_ERROR_STOPPED;
		if (mapped_elf_open(search->process->process->space, page, &elf) == KIOKU_OK &&
		    (elf.header.type == ET_EXEC || elf.header.type == ET_DYN) &&
		    (elf.header.machine == EM_X86_64 || elf.header.machine == EM_386) &&
		    (!source_may_be_torn(search->run->kernel->source) ||
		     vma_owns_frame(search->run->kernel, search->vma, page,
				    mapping->physical + at))) {
			search->header = page;
			return KIOKU_ERROR_STOPPED;
		}
	}
	return KIOKU_OK;
}

/* Whether it is the header of the very program that the kernel has started, which has moved itself into huge pages. */
static bool is_of_program(const struct search *search)
{
	struct mapped_elf elf;

	return mapped_elf_open(search->process->process->space, search->header, &elf) == KIOKU_OK &&
	       memory_map_auxiliary(&search->process->process->map, AT_PHDR) ==
		       search->header + elf.header.segment_offset;
}

/* The kernel's own library, which is restored with a process (CRIU), and then is memory like other. */
static bool is_vdso(const struct search *search)
{
	struct mapped_dynamic dynamic;
	struct mapped_elf elf;
	char name[ELF_MAPPED_NAME];

	return mapped_elf_open(search->process->process->space, search->header, &elf) == KIOKU_OK &&
	       mapped_elf_read_segments(&elf) == KIOKU_OK &&
	       mapped_elf_dynamic(&elf, &dynamic) == KIOKU_OK && dynamic.name &&
	       mapped_elf_name(&elf, &dynamic, dynamic.name, name) == KIOKU_OK &&
	       (strcmp(name, "linux-vdso.so.1") == 0 || strcmp(name, "linux-gate.so.1") == 0);
}

static enum kioku_status report_elf(const struct search *search)
{
	bool is_copy = is_vdso(search);

	return report(
		search,
		&(struct check_result){
			.severity = is_copy ? CHECK_NOTE : CHECK_FINDING,
			.certainty = is_copy ? CHECK_POSSIBLE : CHECK_LIKELY,
			.address = search->header,
			.expected = "programs and libraries that are mapped from files",
			.found = is_copy ? "a copy of the kernel's library (vdso), as restored "
					   "processes have, lies in executable memory"
					 : "a program or library (ELF) lies in executable "
					   "memory that is of no file",
		});
}

/* A program that was loaded by hand: its header lies before its code, which is where the header says. */
static bool is_loaded_before(const struct search *search, uint64_t start, const struct vma *code)
{
	struct elf_segment segment;
	struct mapped_elf elf;

	if (mapped_elf_open(search->process->process->space, start, &elf) != KIOKU_OK ||
	    mapped_elf_read_segments(&elf) != KIOKU_OK)
		return false;
	for (uint32_t i = 0; mapped_elf_segment(&elf, i, &segment); i++)
		if (segment.type == PT_LOAD && segment.flags & PF_X &&
		    mapped_elf_place(&elf, &segment) / PAGE_SIZE == code->start / PAGE_SIZE)
			return true;
	return false;
}

/* Where the anonymous mappings begin that go on in one without a hole. */
static uint64_t start_of_neighbours(const struct search *search, const struct vma *vma)
{
	const struct vma *first = vma;

	for (int i = 0;
	     i < NEIGHBOURS && first > search->process->list.vmas &&
	     first[-1].end == first->start && vma_is_anonymous(search->run->kernel, &first[-1]);
	     i++)
		first--;
	return first->start;
}

static enum kioku_status look_for_elf(struct search *search, const struct vma *vma)
{
	struct address_walk walk = { .first = vma->start,
				     .last = vma->end - 1,
				     .receive = look_for_header,
				     .user = search };

	search->vma = vma;
	search->header = 0;
	enum kioku_status status = address_space_walk(search->process->process->space, &walk);
	if (status == KIOKU_ERROR_NO_MEMORY)
		return status;
	if (walk.losses.tables || walk.losses.repeated)
		mapped_process_lose(search->process, "page tables of executable memory", vma->start,
				    KIOKU_ERROR_ABSENT);
	if (!search->header) {
		uint64_t start = start_of_neighbours(search, vma);
		if (start < vma->start && is_loaded_before(search, start, vma))
			search->header = start;
	}
	return search->header && !is_of_program(search) ? report_elf(search) : KIOKU_OK;
}

/* --- threads in it */

/* Whether a thread that is in a system call has made it from there: what lies before its next instruction. */
static bool has_called_kernel(const struct search *search, const struct registers *registers)
{
	static const uint8_t calls[][2] = { { 0x0f, 0x05 }, { 0x0f, 0x34 }, { 0xcd, 0x80 } };
	uint8_t code[2];

	if ((int64_t)registers->values[ORIG_RAX] < 0 ||
	    kioku_address_space_read(search->process->process->space,
				     registers->values[REGISTER_RIP] - sizeof(code), code,
				     sizeof(code), NULL) != KIOKU_OK)
		return false;
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (memcmp(code, calls[i], sizeof(code)) == 0)
			return true;
	return false;
}

static enum kioku_status look_at_thread(void *user, const struct task *task)
{
	struct search *search = user;
	struct registers registers;
	enum memory_kind kind;

	if (task_is_leaving(task) ||
	    registers_read(search->run->kernel, task, &registers, NULL) != KIOKU_OK)
		return KIOKU_OK;
	uint64_t at = registers.values[REGISTER_RIP];
	const struct vma *vma = vma_list_find(&search->process->list, at);
	if (!vma || !kind_of(search, vma, &kind))
		return KIOKU_OK;
	struct presence *presence = has_called_kernel(search, &registers) ? &search->calling[kind]
									  : &search->running[kind];
	if (presence->count++ == 0) {
		presence->first = task->pid;
		presence->address = at;
	}
	return KIOKU_OK;
}

static enum kioku_status report_threads(const struct search *search,
					const struct presence *presence, enum memory_kind kind,
					bool has_called)
{
	char found[CHECK_TEXT], others[64] = "";
	/* What is shared may be a sandbox's, which runs programs there that it loads itself: gVisor. */
	bool is_finding = kind != MEMORY_SHARED && (has_called || kind == MEMORY_STACK);

	if (presence->count == 0)
		return KIOKU_OK;
	if (presence->count > 1)
		snprintf(others, sizeof(others), " and %llu more",
			 (unsigned long long)presence->count - 1);
	snprintf(found, sizeof(found), "thread %d%s %s code in %s", presence->first, others,
		 has_called ? "made a system call from" : "ran", kind_names[kind]);
	return report(search,
		      &(struct check_result){
			      .severity = is_finding ? CHECK_FINDING : CHECK_NOTE,
			      .certainty = is_finding ? CHECK_LIKELY : CHECK_POSSIBLE,
			      .address = presence->address,
			      .expected = "system calls from the code of programs and libraries",
			      .found = found,
		      });
}

static enum kioku_status look_at_threads(struct search *search)
{
	TRY(task_each_thread(search->run->kernel, search->process->process->task,
			     TASK_IDENTITY | TASK_MEMBERS, look_at_thread, search, NULL));
	for (int i = 0; i < MEMORY_KINDS; i++) {
		TRY(report_threads(search, &search->running[i], (enum memory_kind)i, false));
		TRY(report_threads(search, &search->calling[i], (enum memory_kind)i, true));
	}
	return KIOKU_OK;
}

/* --- one process */

/* UPX leaves its mark in the program, whose code is then in memory that is of no file. */
static bool is_packed(struct search *search)
{
	static const char mark[] = { 'U', 'P', 'X', '!' };
	struct kioku_kernel *kernel = search->run->kernel;
	struct page_cache cache;
	struct inode inode;
	struct file file;
	uint8_t page[PACKED_AREA];

	return search->process->process->map.exe_file &&
	       file_read(kernel, search->process->process->map.exe_file, &file) == KIOKU_OK &&
	       inode_read(kernel, file.inode, &inode) == KIOKU_OK &&
	       page_cache_open(kernel, &inode, &cache, NULL) == KIOKU_OK &&
	       page_cache_read_page(kernel, &cache, 0, page, NULL) == KIOKU_OK &&
	       memmem(page, sizeof(page), mark, sizeof(mark)) != NULL;
}

static enum kioku_status report_amount(const struct search *search, enum memory_kind kind)
{
	const struct amount *amount = &search->amounts[kind];
	char found[CHECK_TEXT], writable[64] = "";

	if (amount->count == 0)
		return KIOKU_OK;
	if (amount->writable)
		snprintf(writable, sizeof(writable), ", %llu of them writable at the same time",
			 (unsigned long long)amount->writable);
	snprintf(found, sizeof(found), "%s is executable: %llu mapping%s of %llu KiB in all%s",
		 kind_names[kind], (unsigned long long)amount->count, amount->count == 1 ? "" : "s",
		 (unsigned long long)(amount->size >> 10), writable);
	return report(search,
		      &(struct check_result){
			      .severity = CHECK_NOTE,
			      .certainty = kind == MEMORY_STACK || kind == MEMORY_HEAP
						   ? CHECK_LIKELY
						   : CHECK_POSSIBLE,
			      .address = amount->first,
			      .expected = "code of files; compilers at run time have other code",
			      .found = found,
		      });
}

static void count_vma(struct search *search, const struct vma *vma, enum memory_kind kind)
{
	struct amount *amount = &search->amounts[kind];

	if (amount->count++ == 0)
		amount->first = vma->start;
	amount->size += vma->end - vma->start;
	amount->writable += (vma->flags & VMA_WRITE) != 0;
}

static enum kioku_status look_at(void *user, const struct mapped_process *process)
{
	struct check_run *run = user;
	struct search search = { .run = run, .process = process };
	enum memory_kind kind;
	uint64_t count = 0;
	char traced[CHECK_TEXT];

	for (size_t i = 0; i < process->list.count; i++) {
		if (!kind_of(&search, &process->list.vmas[i], &kind))
			continue;
		count_vma(&search, &process->list.vmas[i], kind);
		count++;
	}
	if (count == 0)
		return KIOKU_OK;
	if (is_packed(&search)) {
		search.excuse = "its program is packed (UPX), so that its code is there";
	} else if (process->tracer) {
		snprintf(traced, sizeof(traced), "it is traced by process %d, which may do that",
			 process->tracer);
		search.excuse = traced;
	}
	for (int i = 0; i < MEMORY_KINDS; i++)
		TRY(report_amount(&search, (enum memory_kind)i));
	for (size_t i = 0; i < process->list.count && search.pages <= HEADERS_LIMIT; i++)
		if (kind_of(&search, &process->list.vmas[i], &kind) && kind != MEMORY_SHARED)
			TRY(look_for_elf(&search, &process->list.vmas[i]));
	if (search.pages > HEADERS_LIMIT)
		mapped_process_lose(process, "there is more executable memory than is looked at",
				    search.vma->start, KIOKU_ERROR_LIMIT);
	return look_at_threads(&search);
}

static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	return mapped_process_each(run, look_at, run, error);
}

static const struct record *const records[] = { &task_record, &memory_map_record, &vma_record,
						NULL };

const struct check executable_memory_check = {
	.name = "executable_memory",
	.help = "executable memory of processes that is of no file",
	.records = records,
	.run = run_check,
};
