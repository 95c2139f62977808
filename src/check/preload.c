/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Libraries that take the place of others: what the environment and /etc/ld.so.preload tell a process's loader, and what
 * its loader has done. Debuggers need a list of that (struct r_debug and link_map, <link.h>; glibc and musl): the
 * program, then what was preloaded, then what the program names, then what these name, then what was opened later.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "check/mapped_process.h"
#include "kernel/mapped_elf.h"
#include "kernel/page_cache.h"
#include "kernel/process_text.h"

enum {
	LIBRARIES = 512, /* of a process */
	NAMESPACES = 16, /* of dlmopen(3) */
	ROOTS = 256,     /* folders that are the root of some process */
	VALUE = 512,     /* bytes of a variable that are shown */
};

/* --- a process and what its loader knows */

struct library {
	uint64_t file;                      /* struct file; 0: of no file, as [vdso] */
	uint64_t dynamic;                   /* address of its dynamic section */
	char path[ELF_MAPPED_NAME];         /* as the loader calls it */
	uint64_t start;                     /* of its ELF header; 0: not known */
	uint64_t names[3];                  /* digests of what it may be called; 0: none */
	uint64_t needed[ELF_MAPPED_NEEDED]; /* digests of the names of what it names */
	size_t needed_count;
	bool is_expected; /* preloaded, or named by what is */
	bool is_main_namespace;
};

struct loader {
	const struct mapped_process *process;
	struct kioku_kernel *kernel;
	struct library *libraries; /* in the loader's order, the program first */
	size_t count;
	unsigned word; /* bytes */
	bool is_whole; /* all of its list was followed */
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool read_words(const struct loader *loader, uint64_t address, uint64_t *out, size_t count)
{
	uint8_t raw[8 * 8];

	if (kioku_address_space_read(loader->process->process->space, address, raw,
				     count * loader->word, NULL) != KIOKU_OK)
		return false;
	for (size_t i = 0; i < count; i++)
		out[i] = loader->word == 8 ? load_le64(raw + 8 * i) : load_le32(raw + 4 * i);
	return true;
}

/* FNV-1a. Names are compared by it, as each is with all others. */
static uint64_t digest_of(const char *name)
{
	uint64_t digest = 0xcbf29ce484222325;

	for (; *name; name++)
		digest = (digest ^ (uint8_t)*name) * 0x100000001b3;
	return digest;
}

static void read_names(struct library *library, const struct mapped_elf *elf)
{
	struct mapped_dynamic dynamic;
	char name[ELF_MAPPED_NAME];

	if (mapped_elf_dynamic(elf, &dynamic) != KIOKU_OK)
		return;
	if (dynamic.name && mapped_elf_name(elf, &dynamic, dynamic.name, name) == KIOKU_OK)
		library->names[2] = digest_of(name);
	for (size_t i = 0; i < dynamic.needed_count; i++)
		if (mapped_elf_name(elf, &dynamic, dynamic.needed[i], name) == KIOKU_OK)
			library->needed[library->needed_count++] = digest_of(name);
}

static void read_library(const struct loader *loader, struct library *library)
{
	const struct vma *vma = vma_list_find(&loader->process->list, library->dynamic);
	const struct vma *start = vma ? mapped_file_start(&loader->process->list, vma) : NULL;
	struct mapped_elf elf;

	library->file = vma ? vma->file : 0;
	library->names[0] = digest_of(library->path);
	library->names[1] = digest_of(base_name(library->path));
	if (!start)
		return;
	library->start = start->start;
	if (mapped_elf_open(loader->process->process->space, start->start, &elf) == KIOKU_OK &&
	    mapped_elf_read_segments(&elf) == KIOKU_OK)
		read_names(library, &elf);
}

/* One list of the loader's. False: it could not be followed to its end. */
static bool read_list(struct loader *loader, uint64_t first, bool is_main)
{
	/* struct link_map: l_addr, l_name, l_ld, l_next, l_prev */
	uint64_t words[5], before = 0;

	for (uint64_t at = first; at; before = at, at = words[3]) {
		if (loader->count == LIBRARIES || !read_words(loader, at, words, 5) ||
		    words[4] != before)
			return false;
		struct library *library = &loader->libraries[loader->count++];
		*library = (struct library){ .dynamic = words[2], .is_main_namespace = is_main };
		if (mapped_text_read(loader->process->process->space, words[1], library->path,
				     sizeof(library->path)) != KIOKU_OK)
			library->path[0] = '\0';
		read_library(loader, library);
	}
	return true;
}

/* struct r_debug: r_version, r_map, r_brk, r_state, r_ldbase; from version 2 on, r_next behind it. */
static void read_lists(struct loader *loader, uint64_t debug)
{
	uint64_t words[6];

	loader->is_whole = true;
	for (int i = 0; i < NAMESPACES && debug && loader->is_whole; i++) {
		if (!read_words(loader, debug, words, 5)) {
			loader->is_whole = false;
			return;
		}
		loader->is_whole = read_list(loader, words[1], i == 0);
		if ((words[0] & INT32_MAX) < 2)
			return;
		debug = read_words(loader, debug, words, 6) ? words[5] : 0;
	}
}

/* The header of the program, whose program headers the kernel has told its loader of: AT_PHDR. */
static uint64_t program_start(const struct mapped_process *process)
{
	uint64_t headers = memory_map_auxiliary(&process->process->map, AT_PHDR);
	const struct vma *vma = vma_list_find(&process->list, headers);
	const struct vma *start = vma ? mapped_file_start(&process->list, vma) : NULL;

	return start ? start->start : headers & ~(uint64_t)(PAGE_SIZE - 1);
}

/* Errors: NOT_FOUND (it has no loader's list, or none yet), NO_MEMORY, those of reading. */
static enum kioku_status read_loader(struct loader *loader)
{
	const struct mapped_process *process = loader->process;
	struct mapped_dynamic dynamic;
	struct mapped_elf program;
	uint64_t start = program_start(process);

	if (!start)
		return KIOKU_ERROR_NOT_FOUND;
	TRY(mapped_elf_open(process->process->space, start, &program));
	TRY(mapped_elf_read_segments(&program));
	TRY(mapped_elf_dynamic(&program, &dynamic));
	if (!dynamic.debug)
		return KIOKU_ERROR_NOT_FOUND;
	loader->word = program.header.is_64 ? 8 : 4;
	loader->libraries = calloc(LIBRARIES, sizeof(*loader->libraries));
	if (!loader->libraries)
		return KIOKU_ERROR_NO_MEMORY;
	read_lists(loader, dynamic.debug);
	if (!loader->is_whole)
		diagnose(&loader->kernel->diagnostics, KIOKU_GAP,
			 "process %d: its loader's list of libraries ends after %zu of them",
			 process->process->task->tgid, loader->count);
	return loader->count ? KIOKU_OK : KIOKU_ERROR_NOT_FOUND;
}

static void loader_release(struct loader *loader)
{
	free(loader->libraries);
}

/* --- who names whom */

static bool is_called(const struct library *library, uint64_t name)
{
	return library->names[0] == name || library->names[1] == name || library->names[2] == name;
}

static bool names(const struct library *by, const struct library *library)
{
	for (size_t i = 0; i < by->needed_count; i++)
		if (is_called(library, by->needed[i]))
			return true;
	return false;
}

/* The loader itself, and [vdso], are in the list without anybody's doing. */
static bool is_exempt(const struct loader *loader, const struct library *library)
{
	uint64_t own = memory_map_auxiliary(&loader->process->process->map, AT_BASE);

	return !library->file || (own && library->start == own);
}

/* How many come behind the program before the first that it names; 0: it names none, so that it cannot be told. */
static size_t count_preloaded(const struct loader *loader)
{
	for (size_t i = 1; i < loader->count && loader->libraries[i].is_main_namespace; i++)
		if (!is_exempt(loader, &loader->libraries[i]) &&
		    names(&loader->libraries[0], &loader->libraries[i]))
			return i;
	return 0;
}

/* All that an expected one names is expected. */
static void spread(struct loader *loader, size_t from)
{
	size_t waiting[LIBRARIES], count = 0;

	waiting[count++] = from;
	loader->libraries[from].is_expected = true;
	while (count > 0) {
		const struct library *by = &loader->libraries[waiting[--count]];
		for (size_t i = 0; i < loader->count; i++) {
			struct library *library = &loader->libraries[i];
			if (library->is_expected || !names(by, library))
				continue;
			library->is_expected = true;
			waiting[count++] = i;
		}
	}
}

/* --- what is said of it */

struct variables {
	char preload[VALUE]; /* LD_PRELOAD; empty: none */
	bool is_read;
};

static enum kioku_status report(const struct mapped_process *process, enum check_severity severity,
				enum check_certainty certainty, uint64_t address, const char *found)
{
	return mapped_process_report(
		process,
		&(struct check_result){
			.severity = severity,
			.certainty = certainty,
			.address = address,
			.compared = "what the loader was told and has done with the program",
			.expected = "libraries that the program names, from the usual folders",
			.found = found,
		});
}

static enum kioku_status report_preloaded(const struct loader *loader,
					  const struct library *library,
					  const struct variables *variables)
{
	char found[3 * CHECK_TEXT];
	struct mapped_file file;
	const char *gone = "";
	const char *name = base_name(library->path);
	bool is_named = name[0] && strstr(variables->preload, name);

	if (mapped_file_read(loader->kernel, library->file, &file) == KIOKU_OK) {
		if (file.is_nameless)
			gone = "; it never had a name in a file system";
		else if (file.path.deleted &&
			 mapped_file_replaced(loader->kernel, &file) == NAMESAKE_NONE)
			gone = "; it was deleted, and no file has its name";
	}
	if (is_named && !gone[0])
		return KIOKU_OK; /* the variable is told of */
	snprintf(found, sizeof(found), "%s was loaded before what the program names%s%s",
		 library->path, gone,
		 is_named             ? ""
		 : variables->is_read ? "; the environment does not name it"
				      : "; the environment cannot be read");
	return report(loader->process, gone[0] ? CHECK_FINDING : CHECK_NOTE, CHECK_LIKELY,
		      library->start ? library->start : library->dynamic, found);
}

/* What nobody names was opened by the program itself, or by who is in it. */
static enum kioku_status report_opened(const struct loader *loader)
{
	char found[CHECK_TEXT];
	size_t size = 0, count = 0;
	uint64_t first = 0;

	for (size_t i = 1; i < loader->count; i++) {
		const struct library *library = &loader->libraries[i];
		if (library->is_expected || is_exempt(loader, library))
			continue;
		if (count++ == 0)
			first = library->start ? library->start : library->dynamic;
		if (size < sizeof(found) / 2)
			size += (size_t)snprintf(
				found + size, sizeof(found) - size, "%s%s",
				count > 1 ? ", " : "opened while it ran: ", library->path);
		else if (size < sizeof(found) - 8 && found[size - 1] != '.')
			size += (size_t)snprintf(found + size, sizeof(found) - size, ", ...");
	}
	if (count == 0)
		return KIOKU_OK;
	return report(loader->process, CHECK_NOTE, CHECK_POSSIBLE, first, found);
}

/* Code of files that the loader does not know. */
static enum kioku_status report_unlisted(const struct loader *loader)
{
	const struct vma_list *list = &loader->process->list;
	uint64_t last = loader->process->process->map.exe_file;
	char found[2 * CHECK_TEXT];

	for (size_t i = 0; i < list->count && loader->is_whole; i++) {
		const struct vma *vma = &list->vmas[i];
		struct mapped_file file;
		bool is_known = false;
		if (!vma->file || !(vma->flags & VMA_EXECUTE) || vma->flags & VMA_MAY_SHARE ||
		    vma->file == last)
			continue;
		last = vma->file;
		for (size_t j = 0; j < loader->count && !is_known; j++)
			is_known = loader->libraries[j].file == vma->file;
		if (is_known || mapped_file_read(loader->kernel, vma->file, &file) != KIOKU_OK)
			continue;
		snprintf(found, sizeof(found),
			 "code of %s is mapped, and the process's loader does not know of it",
			 file.text);
		TRY(report(loader->process, CHECK_NOTE, CHECK_POSSIBLE, vma->start, found));
	}
	return KIOKU_OK;
}

static enum kioku_status look_at_loader(struct loader *loader, const struct variables *variables)
{
	enum kioku_status status = read_loader(loader);

	if (status == KIOKU_ERROR_NO_MEMORY)
		return status;
	if (status != KIOKU_OK && status != KIOKU_ERROR_NOT_FOUND)
		mapped_process_lose(loader->process, "what its loader knows of its program",
				    program_start(loader->process), status);
	if (status != KIOKU_OK)
		return KIOKU_OK;
	size_t preloaded = count_preloaded(loader);
	spread(loader, 0);
	for (size_t i = 1; i < preloaded; i++) {
		if (is_exempt(loader, &loader->libraries[i]))
			continue;
		TRY(report_preloaded(loader, &loader->libraries[i], variables));
		spread(loader, i);
	}
	TRY(report_opened(loader));
	return report_unlisted(loader);
}

/* --- the environment */

static enum kioku_status look_at_variable(const struct mapped_process *process, const char *text,
					  size_t size, struct variables *variables)
{
	static const char *const wanted[] = { "LD_PRELOAD=", "LD_AUDIT=", "LD_LIBRARY_PATH=" };
	char found[VALUE];

	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		size_t length = strlen(wanted[i]);
		if (size <= length || memcmp(text, wanted[i], length) != 0)
			continue;
		snprintf(found, sizeof(found), "%.*s",
			 (int)(size < sizeof(found) ? size : sizeof(found) - 1), text);
		if (i == 0)
			memcpy(variables->preload, found, sizeof(found));
		return report(process, CHECK_NOTE, i < 2 ? CHECK_LIKELY : CHECK_POSSIBLE,
			      process->process->map.environment_start, found);
	}
	return KIOKU_OK;
}

static enum kioku_status look_at_environment(const struct mapped_process *process,
					     struct variables *variables)
{
	const struct memory_map *map = &process->process->map;
	AUTO_PROCESS_TEXT struct process_text text = { 0 };
	enum kioku_status status = process_text_read(
		process->process->space, map->environment_start, map->environment_end, &text);

	if (status == KIOKU_ERROR_NO_MEMORY)
		return status;
	if (status != KIOKU_OK)
		mapped_process_lose(process, "its environment", map->environment_start, status);
	variables->is_read = status == KIOKU_OK;
	for (size_t at = 0, length; at < text.size; at += length + 1) {
		length = strnlen(text.data + at, text.size - at);
		TRY(look_at_variable(process, text.data + at, length, variables));
	}
	return KIOKU_OK;
}

/* --- /etc/ld.so.preload */

struct search {
	struct check_run *run;
	uint64_t roots[ROOTS]; /* dentries that were looked at */
	size_t count;
	bool is_full; /* there were more, which was said */
};

/* What is in it, in one line. */
static void read_list_of_preloads(struct kioku_kernel *kernel, const struct inode *inode,
				  char out[VALUE])
{
	uint8_t page[PAGE_SIZE];
	struct page_cache cache;
	struct kioku_error error = { 0 };
	size_t size = inode->size < VALUE - 1 ? (size_t)inode->size : VALUE - 1;

	if (page_cache_open(kernel, inode, &cache, &error) != KIOKU_OK ||
	    page_cache_read_page(kernel, &cache, 0, page, &error) != KIOKU_OK) {
		snprintf(out, VALUE, "(its content is not in memory)");
		return;
	}
	memcpy(out, page, size);
	out[size] = '\0';
	for (size_t i = 0; i < size; i++)
		if (out[i] == '\n')
			out[i] = ' ';
}

static enum kioku_status look_at_root(struct search *search, uint64_t root, int32_t pid)
{
	struct kioku_kernel *kernel = search->run->kernel;
	char value[VALUE], found[CHECK_TEXT];
	struct dentry etc, preload;
	struct inode inode;

	enum namesake has = namesake_in(kernel, root, "etc", &etc);
	if (has == NAMESAKE_THERE)
		has = namesake_in(kernel, etc.address, "ld.so.preload", &preload);
	if (has == NAMESAKE_UNKNOWN)
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "process %d: whether its root has an /etc/ld.so.preload is not known",
			 pid);
	if (has != NAMESAKE_THERE)
		return KIOKU_OK;
	enum kioku_status status = inode_read(kernel, preload.inode, &inode);
	if (status != KIOKU_OK) {
		diagnose(&kernel->diagnostics, KIOKU_GAP, "/etc/ld.so.preload of process %d: %s",
			 pid, kioku_status_name(status));
		return KIOKU_OK;
	}
	if (!inode_is(&inode, S_IFREG) || inode.size <= 0)
		return KIOKU_OK;
	read_list_of_preloads(kernel, &inode, value);
	snprintf(found, sizeof(found),
		 "each program that is started where process %d has its root is to load first: %s",
		 pid, value);
	return check_report(search->run, &(struct check_result){
						 .severity = CHECK_NOTE,
						 .certainty = CHECK_LIKELY,
						 .pid = -1,
						 .subject = "/etc/ld.so.preload",
						 .address = preload.inode,
						 .compared = "the loader's list of libraries for "
							     "all programs with an empty one",
						 .expected = "no such file, or nothing in it",
						 .found = found,
					 });
}

static enum kioku_status look_at_root_of(struct search *search,
					 const struct mapped_process *process)
{
	struct kioku_kernel *kernel = search->run->kernel;
	const struct task *task = process->process->task;
	struct file_system_places places;
	struct task_files files;

	if (task_read_files(kernel, task, &files) != KIOKU_OK || !files.fs ||
	    task_read_places(kernel, files.fs, &places) != KIOKU_OK)
		return KIOKU_OK;
	for (size_t i = 0; i < search->count; i++)
		if (search->roots[i] == places.root.dentry)
			return KIOKU_OK;
	if (search->count == ROOTS) {
		if (!search->is_full)
			diagnose(&kernel->diagnostics, KIOKU_GAP,
				 "processes have more than %d roots: /etc/ld.so.preload of the "
				 "others was not looked at",
				 ROOTS);
		search->is_full = true;
		return KIOKU_OK;
	}
	search->roots[search->count++] = places.root.dentry;
	return look_at_root(search, places.root.dentry, task->tgid);
}

static enum kioku_status look_at(void *user, const struct mapped_process *process)
{
	struct search *search = user;
	struct variables variables = { 0 };
	CLEANUP(loader_release)
	struct loader loader = { .process = process, .kernel = search->run->kernel };

	TRY(look_at_root_of(search, process));
	TRY(look_at_environment(process, &variables));
	return look_at_loader(&loader, &variables);
}

static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	struct search search = { .run = run };

	return mapped_process_each(run, look_at, &search, error);
}

static const struct record *const records[] = { &task_record, &memory_map_record, &vma_record,
						&file_record, &dentry_record,     &inode_record,
						NULL };

const struct check preload_check = {
	.name = "preload",
	.help = "libraries that were put in the place of others, or that the program does not name",
	.records = records,
	.run = run_check,
};
