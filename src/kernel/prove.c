/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A candidate becomes a kernel only by proving itself: its page tables map an image, the image
 * holds symbol tables whose linux_banner is a banner, and init_task is the swapper. Copies in the
 * page cache or from an earlier boot are not mapped by the running kernel's tables.
 */
#include <string.h>

#include "format/vmcoreinfo_format.h"
#include "kernel/given.h"
#include "kernel/infer.h"
#include "kernel/locate.h"
#include "kernel/profile.h"
#include "source/source.h"

#define BANNER_START "Linux version "
#define BANNER_LIMIT 512
/* task_struct is smaller on every configuration; its comm is looked for without knowing types. */
#define INIT_TASK_LIMIT 16384
#define BTF_LIMIT       (64u << 20)
/* Kernels with every debugging option take some 200 MiB; hostile tables may map 1 GiB. */
#define EXAMINE_LIMIT (512u << 20)

uint64_t kernel_symbol(const struct kioku_kernel *kernel, const char *name)
{
	struct kioku_symbol symbol;

	if (!kernel->symbols ||
	    kioku_symbols_find(kernel->symbols, name, &symbol, NULL) != KIOKU_OK)
		return 0;
	return symbol.address;
}

enum kioku_status kernel_read(struct kioku_kernel *kernel, uint64_t virtual, void *buffer,
			      size_t size, struct kioku_error *error)
{
	return kioku_address_space_read(&kernel->space, virtual, buffer, size, error);
}

enum kioku_status kernel_read_string(struct kioku_kernel *kernel, uint64_t virtual, char *out,
				     size_t room, size_t *size)
{
	const size_t step = 64; /* never past the end of a page that a string may end in */

	if (!kernel_is_pointer(kernel, virtual))
		return KIOKU_ERROR_CORRUPT;
	for (*size = 0; *size < room;) {
		size_t part = step - (virtual + *size) % step;
		part = part < room - *size ? part : room - *size;
		TRY(kernel_read(kernel, virtual + *size, out + *size, part, NULL));
		const char *end = memchr(out + *size, '\0', part);
		if (end) {
			*size = (size_t)(end - out);
			return KIOKU_OK;
		}
		*size += part;
	}
	return KIOKU_ERROR_LIMIT;
}

/* The physical part of a span that lies in one piece; size 0: it is not mapped. */
static struct span physical_part(struct kioku_kernel *kernel, uint64_t virtual, uint64_t size)
{
	struct span span = { 0 };
	uint64_t contiguous;

	if (address_space_locate(&kernel->space, virtual, &span.start, &contiguous, NULL) ==
	    KIOKU_OK)
		span.size = contiguous < size ? contiguous : size;
	return span;
}

void kernel_prefetch(struct kioku_kernel *kernel, const struct span *spans, size_t count)
{
	struct span physical[PREFETCH_LIMIT];
	size_t used = 0;

	if (!source_is_remote(kernel->source))
		return;
	for (size_t i = 0; i < count && used < PREFETCH_LIMIT; i++) {
		physical[used] = physical_part(kernel, spans[i].start, spans[i].size);
		used += physical[used].size > 0;
	}
	source_prefetch(kernel->source, physical, used);
}

void kernel_forget(struct kioku_kernel *kernel, uint64_t virtual, uint64_t size)
{
	if (!source_is_remote(kernel->source))
		return;
	struct span span = physical_part(kernel, virtual, size);
	source_forget(kernel->source, span.start, span.size);
}

bool kernel_is_pointer(const struct kioku_kernel *kernel, uint64_t value)
{
	/* The last page of the address space holds error codes (include/linux/err.h). */
	return (int64_t)value < 0 && value < (uint64_t)-4095 &&
	       address_is_canonical(kernel->space.paging, value);
}

bool kernel_read_banner(struct kioku_kernel *kernel, uint64_t virtual)
{
	char text[BANNER_LIMIT];

	if (kernel_read(kernel, virtual, text, sizeof(text), NULL) != KIOKU_OK)
		return false;
	size_t length = strnlen(text, sizeof(text));
	if (length == sizeof(text) || strncmp(text, BANNER_START, strlen(BANNER_START)) != 0 ||
	    length < strlen(BANNER_START) + 3)
		return false;
	if (text[length - 1] == '\n')
		length--;
	kernel->banner = arena_copy(&kernel->arena, text, length);
	kernel->banner_virtual = virtual;
	return kernel->banner != NULL;
}

/*
 * Since v6.1 (2df8220cc511) there are two: init/version.c has one without a number behind "#", which the linker
 * leaves lying before the one that counts.
 */
static bool is_left_over(const char *banner)
{
	return strstr(banner, " # ") != NULL;
}

static bool find_banner(struct kioku_kernel *kernel, struct window *window)
{
	struct bytes all;

	/* Lost pages stay zero in the window, so that the rest can still be searched. */
	if (!window_bytes(window, 0, window->size, &all))
		all = (struct bytes){ window->data, window->size };
	const uint8_t *at = all.data;
	while ((at = memmem(at, all.size - (size_t)(at - all.data), BANNER_START,
			    strlen(BANNER_START)))) {
		if (kernel_read_banner(kernel, window->virtual_start + (uint64_t)(at - all.data)) &&
		    !is_left_over(kernel->banner))
			return true;
		at++;
	}
	return kernel->banner != NULL;
}

/* VMCOREINFO of the image file says where kallsyms lies; verified like any other place. */
static bool note_hint(struct kioku_kernel *kernel, struct kallsyms_hint *hint)
{
	struct bytes note;

	note.data = (const uint8_t *)kioku_source_vmcoreinfo(kernel->source, &note.size);
	return note.data && kallsyms_hint_from_vmcoreinfo(note, hint);
}

static enum kioku_status take_symbols(struct kioku_kernel *kernel, struct window *window)
{
	struct kallsyms_hint hint;
	struct kallsyms_layout layout;
	bool hinted = note_hint(kernel, &hint);

	if (!kallsyms_locate(window, hinted ? &hint : NULL, &layout, &kernel->diagnostics))
		return KIOKU_ERROR_NOT_FOUND;
	TRY(symbols_from_kallsyms(window, &layout, &kernel->symbols, &kernel->diagnostics, NULL));

	/* Symbols prove themselves by the banner. Without data symbols there is none to ask. */
	uint64_t banner = kernel_symbol(kernel, "linux_banner");
	if (banner ? kernel_read_banner(kernel, banner) : find_banner(kernel, window)) {
		kernel->symbols_evidence = "kallsyms, found by its structure";
		return KIOKU_OK;
	}
	symbols_close(kernel->symbols);
	kernel->symbols = NULL;
	return KIOKU_ERROR_NOT_FOUND;
}

/* What lies in the window has come in for the most part, while it was searched. */
static enum kioku_status read_through(struct kioku_kernel *kernel, struct window *window,
				      uint64_t virtual, void *out, uint64_t size,
				      struct kioku_error *error)
{
	struct bytes found;

	if (virtual < window->virtual_start ||
	    !window_bytes(window, virtual - window->virtual_start, size, &found))
		return kernel_read(kernel, virtual, out, size, error);
	memcpy(out, found.data, found.size);
	return KIOKU_OK;
}

static enum kioku_status take_types(struct kioku_kernel *kernel, struct window *window)
{
	uint64_t start = kernel_symbol(kernel, "__start_BTF");
	uint64_t stop = kernel_symbol(kernel, "__stop_BTF");
	uint64_t size = stop - start;
	struct kioku_error error = { 0 };

	kernel->types_evidence = "BTF at __start_BTF";
	if (!start || stop <= start) {
		uint64_t offset;
		if (!btf_locate(window, &offset, &size))
			return KIOKU_ERROR_NOT_FOUND;
		start = window->virtual_start + offset;
		kernel->types_evidence = "BTF, found by its header";
	}
	if (size > BTF_LIMIT)
		return KIOKU_ERROR_CORRUPT;
	AUTO_FREE void *data = malloc(size);
	if (!data)
		return KIOKU_ERROR_NO_MEMORY;
	enum kioku_status status = read_through(kernel, window, start, data, size, &error);
	if (status == KIOKU_OK)
		status = types_from_btf(TAKE(data), size, &kernel->types, &error);
	if (status == KIOKU_OK && types_flaw(kernel->types))
		diagnose(&kernel->diagnostics, KIOKU_GAP, "types: %s", types_flaw(kernel->types));
	if (status != KIOKU_OK)
		kernel->types_problem = arena_format(&kernel->arena, "BTF at 0x%llx: %s",
						     (unsigned long long)start, error.message);
	return status;
}

/* Symbols, banner and types out of one stretch of the image. */
static enum kioku_status examine(struct kioku_kernel *kernel, uint64_t virtual, uint64_t size)
{
	AUTO_IMAGE_WINDOW struct image_window window = { 0 };

	TRY(image_window_open(&kernel->space, virtual, size, &window, NULL));
	if (!kernel->symbols) {
		enum kioku_status status = take_symbols(kernel, &window.window);
		if (status == KIOKU_ERROR_NO_MEMORY)
			return status;
	}
	if (!kernel->types && !kernel->types_problem && !kernel->ignores_btf) {
		enum kioku_status status = take_types(kernel, &window.window);
		if (status == KIOKU_ERROR_NO_MEMORY)
			return status;
	}
	if (!kernel->banner)
		find_banner(kernel, &window.window);
	return KIOKU_OK;
}

/*
 * Constants first, in the order of size; then the image as a whole, for kernels that do not protect
 * their constants, or whose tables straddle a damaged entry.
 */
static enum kioku_status examine_image(struct kioku_kernel *kernel)
{
	const struct image *image = &kernel->image;
	const struct mapping *largest = NULL;

	for (size_t i = 0; i < image->run_count; i++)
		if (image_run_is_rodata(&image->runs[i]) &&
		    (!largest || image->runs[i].size > largest->size))
			largest = &image->runs[i];
	if (largest)
		TRY(examine(kernel, largest->virtual, largest->size));
	if (!kernel->symbols || !kernel->banner) {
		uint64_t size = image->end - image->start;
		TRY(examine(kernel, image->start, size < EXAMINE_LIMIT ? size : EXAMINE_LIMIT));
	}
	return KIOKU_OK;
}

/* The table that the last entry of a root points at, 0 if there is none. */
static uint64_t last_table(struct kioku_source *source, uint64_t root)
{
	uint8_t raw[8];

	if (kioku_source_read(source, root + 511 * 8, raw, sizeof(raw), NULL) != KIOKU_OK)
		return 0;
	return load_le64(raw) & 1 ? load_le64(raw) & 0x000ffffffffff000ull : 0;
}

/* Whether a root maps more of the kernel's half than the image: the direct map, above all. */
static bool maps_more(struct kioku_source *source, uint64_t root)
{
	uint8_t table[PAGE_SIZE];

	if (kioku_source_read(source, root, table, sizeof(table), NULL) != KIOKU_OK)
		return false;
	for (unsigned i = 256; i < 511; i++)
		if (table[8 * i] & 1)
			return true;
	return false;
}

static bool take_root_if_good(struct kioku_kernel *kernel, uint64_t root)
{
	if (last_table(kernel->source, root) != last_table(kernel->source, kernel->space.root) ||
	    !maps_more(kernel->source, root))
		return false;
	uint64_t ignored = kernel->space.ignored_bits;
	address_space_init(&kernel->space, kernel->source, kernel->space.paging, root);
	kernel->space.ignored_bits = ignored;
	return true;
}

/*
 * The trampoline's root has only the entries that it needs, a process's may vanish; the kernel's
 * own lies in its data and shares its last table with them. Without data symbols it is looked for.
 */
static void take_own_root(struct kioku_kernel *kernel)
{
	static const char *const names[] = { "swapper_pg_dir", "init_top_pgt", "init_level4_pgt" };
	const struct image *image = &kernel->image;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		uint64_t virtual = kernel_symbol(kernel, names[i]);
		if (virtual && image_contains(image, virtual) &&
		    take_root_if_good(kernel, image_to_physical(image, virtual)))
			return;
	}
	for (size_t i = 0; i < image->run_count; i++) {
		const struct mapping *run = &image->runs[i];
		for (uint64_t at = 0; at < run->size && !image_run_is_rodata(run); at += PAGE_SIZE)
			if (take_root_if_good(kernel, run->physical + at))
				return;
	}
}

/* Whether a task_struct at this address is the first idle task: pid 0, and called swapper. */
static bool is_swapper(struct kioku_kernel *kernel, uint64_t task)
{
	struct kioku_member comm, pid;
	uint8_t memory[INIT_TASK_LIMIT];
	uint32_t id;

	if (!kernel->types ||
	    kioku_types_find(kernel->types, "struct task_struct", &id, NULL) != KIOKU_OK ||
	    kioku_type_member(kernel->types, id, "comm", &comm, NULL) != KIOKU_OK ||
	    kioku_type_member(kernel->types, id, "pid", &pid, NULL) != KIOKU_OK) {
		/* No types: the name must be somewhere in it. */
		return kernel_read(kernel, task, memory, sizeof(memory), NULL) == KIOKU_OK &&
		       memmem(memory, sizeof(memory), "swapper", 7) != NULL;
	}
	return kernel_read(kernel, task + comm.bit_offset / 8, memory, 8, NULL) == KIOKU_OK &&
	       memcmp(memory, "swapper", 7) == 0 &&
	       kernel_read(kernel, task + pid.bit_offset / 8, memory, 4, NULL) == KIOKU_OK &&
	       load_le32(memory) == 0;
}

/*
 * Without types: the first task is its own parent, twice, and its own leader. Where at least three pointers from some
 * place on are to that very place, and the name lies behind it, that is where the task starts; 0: there is none.
 */
static uint64_t pointed_start(const struct image_window *window, uint64_t virtual, uint64_t size,
			      uint64_t name)
{
	const unsigned enough = 3;
	uint64_t first = name > INIT_TASK_LIMIT ? name - INIT_TASK_LIMIT : 0;

	for (uint64_t start = (first + 7) & ~7ull; start < name; start += 8) {
		unsigned found = 0;
		for (uint64_t at = start; at + 8 <= size && at < start + INIT_TASK_LIMIT; at += 8)
			found += load_le64(window->buffer + at) == virtual + start;
		if (found >= enough)
			return virtual + start;
	}
	return 0;
}

/* Where the task with this name starts: where types say, or where it says itself. */
static uint64_t task_with_name(const struct image_window *window, const struct mapping *run,
			       uint64_t name, const struct kioku_member *comm)
{
	if (!comm)
		return pointed_start(window, run->virtual, run->size, name);
	return run->virtual + name - comm->bit_offset / 8;
}

/* Kernels built without data symbols: the name "swapper" in their data, where a comm would be. */
static void search_init_task(struct kioku_kernel *kernel)
{
	struct kioku_member comm;
	uint32_t id;
	bool has_types =
		kernel->types &&
		kioku_types_find(kernel->types, "struct task_struct", &id, NULL) == KIOKU_OK &&
		kioku_type_member(kernel->types, id, "comm", &comm, NULL) == KIOKU_OK;

	for (size_t next = 0;;) {
		AUTO_IMAGE_WINDOW struct image_window window = { 0 };
		const struct mapping *run =
			image_next_data(&kernel->space, &kernel->image, &next, &window);
		if (!run)
			return;
		const uint8_t *end = window.buffer + run->size;
		const uint8_t *at = window.buffer;
		while ((at = memmem(at, (size_t)(end - at), "swapper", 7))) {
			uint64_t task = task_with_name(&window, run, (uint64_t)(at - window.buffer),
						       has_types ? &comm : NULL);
			if (task && task % 8 == 0 && is_swapper(kernel, task)) {
				kernel->init_task = task;
				kernel->init_task_evidence =
					has_types ? "its name, where the types have it"
						  : "its name, and that it is its own parent";
				return;
			}
			at++;
		}
	}
}

const char *kernel_symbols_evidence(const struct kioku_kernel *kernel)
{
	return kernel->given && kernel->symbols_evidence &&
			       strncmp(kernel->symbols_evidence, "kallsyms", 8) != 0
		       ? "a symbol of the file that was given"
		       : "kallsyms";
}

static bool is_alive(struct kioku_kernel *kernel)
{
	kernel->init_task = kernel_symbol(kernel, "init_task");
	kernel->init_task_evidence = kernel_symbols_evidence(kernel);
	if (kernel->init_task && is_swapper(kernel, kernel->init_task))
		return true;
	kernel->init_task = 0;
	search_init_task(kernel);
	return kernel->init_task != 0;
}

/* No types to be had: what can be worked out of memory. False: nothing, for there is no list of tasks. */
static bool work_out_types(struct kioku_kernel *kernel)
{
	AUTO_INFERENCE struct inference *inference = NULL;
	struct kioku_error error = { 0 };
	struct bytes evidence;

	if (infer_types(kernel, &inference, &error) != KIOKU_OK ||
	    infer_evidence(inference, &evidence, &error) != KIOKU_OK) {
		if (!kernel->types_problem)
			kernel->types_problem = arena_format(
				&kernel->arena, "not in the image, and %s", error.message);
		return false;
	}
	kernel->types_evidence = "inferred from memory";
	kernel_types_are_inferred(kernel, evidence);
	return true;
}

bool kernel_map(struct kioku_kernel *kernel, const struct candidate *candidate)
{
	address_space_init(&kernel->space, kernel->source, candidate->paging, candidate->root);
	kernel->root_evidence = candidate->evidence;
	if (image_map(&kernel->space, &kernel->image, NULL) != KIOKU_OK)
		return false;
	/* The kernel lies in RAM, and in one piece. */
	for (size_t i = 0; i < kernel->image.run_count; i++) {
		const struct mapping *run = &kernel->image.runs[i];
		if (run->physical == image_to_physical(&kernel->image, run->virtual))
			source_admit(kernel->source, run->physical, run->size);
	}
	kernel->proof = PROOF_IMAGE;
	return true;
}

enum kioku_status kernel_prove(struct kioku_kernel *kernel, const struct profile *profile,
			       const char *cache_folder, struct kioku_error *error)
{
	if (profile)
		TRY(profile_apply(kernel, profile, error));
	else if (!cache_folder || !profile_find(kernel, cache_folder))
		TRY(examine_image(kernel));
	if (!kernel->banner)
		return KIOKU_OK;
	if (kernel->given)
		TRY(given_apply(kernel, error));
	kernel->proof = PROOF_BANNER;
	take_own_root(kernel);
	bool alive = is_alive(kernel);
	/* What only its name and pointers make the first task leads to others, or it proves nothing. */
	if (alive && !kernel->types && !work_out_types(kernel))
		alive = kernel_symbol(kernel, "init_task") != 0;
	if (alive)
		kernel->proof = PROOF_ALIVE;
	if (kernel->given && given_check_tasks(kernel, error) != KIOKU_OK) {
		kernel->proof = PROOF_NONE;
		return KIOKU_ERROR_REFUSED;
	}
	return KIOKU_OK;
}
