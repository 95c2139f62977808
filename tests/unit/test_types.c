/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BTF, written here by Documentation/bpf/btf.rst; pahole judges the printed layouts. */
#include "base/error.h"
#include "test_btf.h"

enum { INT = 1, CHAR, LONG, POINTER, LIST };

/* int, char, unsigned long, void *, struct list_head { next, prev } */
static void put_basics(struct btf *btf)
{
	integer(btf, "int", 4, 1);
	integer(btf, "char", 1, 1);
	integer(btf, "long unsigned int", 8, 0);
	type(btf, KIOKU_TYPE_POINTER, "", 0, false, 0);
	type(btf, KIOKU_TYPE_STRUCT, "list_head", 2, false, 16);
	member(btf, "next", LIST + 1, 0);
	member(btf, "prev", LIST + 1, 64);
	type(btf, KIOKU_TYPE_POINTER, "", 0, false, LIST);
}

/* A task_struct with a bit field, anonymous members, a function pointer, an array and holes. */
static uint32_t put_task(struct btf *btf)
{
	uint32_t inner = type(btf, KIOKU_TYPE_STRUCT, "", 2, false, 16);
	member(btf, "pid", INT, 0);
	member(btf, "run_list", LONG, 64);
	uint32_t either = type(btf, KIOKU_TYPE_UNION, "", 2, false, 16);
	member(btf, "", inner, 0);
	member(btf, "tasks", LIST, 0);
	uint32_t function = type(btf, KIOKU_TYPE_FUNCTION_PROTOTYPE, "", 2, false, INT);
	put32(btf, 0);
	put32(btf, LIST + 1);
	put32(btf, 0);
	put32(btf, 0);
	uint32_t pointer = type(btf, KIOKU_TYPE_POINTER, "", 0, false, function);
	uint32_t row = array(btf, CHAR, 16);
	uint32_t rows = array(btf, row, 3);
	uint32_t alias = type(btf, KIOKU_TYPE_TYPEDEF, "rows_t", 0, false, rows);
	type(btf, KIOKU_TYPE_FORWARD, "task_struct", 0, false, 0);
	uint32_t task = type(btf, KIOKU_TYPE_STRUCT, "task_struct", 6, true, 96);
	member(btf, "state", CHAR, 0);
	member(btf, "", either, 64);
	member(btf, "low", INT, 192 | 3u << 24);
	member(btf, "high", INT, 195 | 5u << 24);
	member(btf, "call", pointer, 256);
	member(btf, "names", alias, 320);
	return task;
}

static void finds_types(void)
{
	struct btf btf = { 0 };
	uint32_t id;
	struct kioku_error error;

	put_basics(&btf);
	uint32_t task = put_task(&btf);
	uint32_t other = type(&btf, KIOKU_TYPE_STRUCT, "task_struct", 0, false, 8);
	type(&btf, KIOKU_TYPE_TYPEDEF, "page", 0, false, INT);
	type(&btf, KIOKU_TYPE_ENUM, "page", 0, false, 4);
	uint32_t page = type(&btf, KIOKU_TYPE_UNION, "page", 0, false, 4);
	uint32_t only = type(&btf, KIOKU_TYPE_FORWARD, "only", 0, true, 0);
	AUTO_TYPES struct kioku_types *types = open_btf(&btf);
	CHECK(types && !types_flaw(types));
	CHECK_EQUAL(kioku_types_count(types), btf.count);
	CHECK_EQUAL(kioku_types_find(types, "task_struct", &id, NULL), KIOKU_OK);
	CHECK_EQUAL(id, task);
	CHECK_EQUAL(kioku_types_find(types, "struct task_struct", &id, NULL), KIOKU_OK);
	CHECK_EQUAL(id, task);
	CHECK_EQUAL(kioku_types_find(types, "page", &id, NULL), KIOKU_OK);
	CHECK_EQUAL(id, page);
	CHECK_EQUAL(kioku_types_find(types, "enum page", &id, NULL), KIOKU_OK);
	CHECK_EQUAL(id, page - 1);
	CHECK_EQUAL(kioku_types_find(types, "struct page", &id, &error), KIOKU_ERROR_NOT_FOUND);
	CHECK_SAYS(error.message, "struct page");
	CHECK_EQUAL(kioku_types_find(types, "union only", &id, NULL), KIOKU_OK);
	CHECK_EQUAL(id, only);
	CHECK_EQUAL(kioku_types_find(types, "struct only", &id, NULL), KIOKU_ERROR_NOT_FOUND);

	struct type_cursor cursor = { 0 };
	CHECK(types_next_named(types, "task_struct", &cursor, &id) && id == task - 1);
	CHECK(types_next_named(types, "task_struct", &cursor, &id) && id == task);
	CHECK(types_next_named(types, "task_struct", &cursor, &id) && id == other);
	CHECK(!types_next_named(types, "task_struct", &cursor, &id));
	CHECK_EQUAL(kioku_type_kind(types, 0), KIOKU_TYPE_VOID);
	CHECK_EQUAL(kioku_type_kind(types, UINT32_MAX), KIOKU_TYPE_VOID);
	CHECK_SAYS(kioku_type_name(types, task), "task_struct");
}

static void finds_members(void)
{
	struct btf btf = { 0 };
	struct kioku_member found;

	put_basics(&btf);
	uint32_t task = put_task(&btf);
	AUTO_TYPES struct kioku_types *types = open_btf(&btf);
	CHECK(types);
	CHECK_EQUAL(kioku_type_member(types, task, "run_list", &found, NULL), KIOKU_OK);
	CHECK_EQUAL(found.bit_offset, 128);
	CHECK_EQUAL(kioku_type_member(types, task, "tasks.prev", &found, NULL), KIOKU_OK);
	CHECK_EQUAL(found.bit_offset, 128);
	CHECK_EQUAL(kioku_type_member(types, task, "high", &found, NULL), KIOKU_OK);
	CHECK_EQUAL(found.bit_offset, 195);
	CHECK_EQUAL(found.bit_size, 5);
	CHECK_EQUAL(kioku_type_member(types, task, "names", &found, NULL), KIOKU_OK);
	CHECK_EQUAL(kioku_type_size(types, found.type), 48);
	/* Pointers are not followed. */
	CHECK_EQUAL(kioku_type_member(types, task, "tasks.next.prev", &found, NULL),
		    KIOKU_ERROR_NOT_FOUND);
	static const char *const wrong[] = { "",     ".",      "tasks.",    ".tasks",
					     "task", "taskss", "run_list.x" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		CHECK_EQUAL(kioku_type_member(types, task, wrong[i], &found, NULL),
			    KIOKU_ERROR_NOT_FOUND);
	CHECK(kioku_type_member_at(types, task, 5, &found) && !strcmp(found.name, "names"));
	CHECK(!kioku_type_member_at(types, task, 6, &found));
	CHECK(!kioku_type_member_at(types, INT, 0, &found));
}

/* Bit fields before the flag: an INT of fewer bits than its size has (pahole before v1.12). */
static void reads_old_bit_fields(void)
{
	struct btf btf = { 0 };
	struct kioku_member found;

	put_basics(&btf);
	uint32_t bits = type(&btf, KIOKU_TYPE_INT, "unsigned int", 0, false, 4);
	put32(&btf, 2u << 16 | 3);
	uint32_t holder = type(&btf, KIOKU_TYPE_STRUCT, "holder", 1, false, 4);
	member(&btf, "field", bits, 8);
	AUTO_TYPES struct kioku_types *types = open_btf(&btf);
	CHECK(types);
	CHECK_EQUAL(kioku_type_member(types, holder, "field", &found, NULL), KIOKU_OK);
	CHECK_EQUAL(found.bit_offset, 10);
	CHECK_EQUAL(found.bit_size, 3);
}

/* Types made of themselves end, in size, search and print. */
static void ends_cycles(void)
{
	struct btf btf = { 0 };
	struct kioku_member found;
	char *text = NULL;

	put_basics(&btf);
	uint32_t first = type(&btf, KIOKU_TYPE_TYPEDEF, "a", 0, false, btf.count + 2);
	type(&btf, KIOKU_TYPE_CONST, "", 0, false, first);
	uint32_t again = array(&btf, btf.count + 1, 2);
	uint32_t wide = array(&btf, btf.count + 2, UINT32_MAX);
	array(&btf, btf.count + 2, UINT32_MAX);
	array(&btf, LONG, UINT32_MAX);
	uint32_t self = type(&btf, KIOKU_TYPE_STRUCT, "", 4, false, 8);
	for (unsigned i = 0; i < 4; i++)
		member(&btf, "", self, 0);
	uint32_t function = type(&btf, KIOKU_TYPE_FUNCTION_PROTOTYPE, "", 2, false, btf.count + 1);
	for (unsigned i = 0; i < 2; i++) {
		put32(&btf, 0);
		put32(&btf, function);
	}
	uint32_t named = type(&btf, KIOKU_TYPE_TYPEDEF, "f", 0, false, function);
	uint32_t pointer = type(&btf, KIOKU_TYPE_POINTER, "", 0, false, btf.count + 1);
	uint32_t loop = type(&btf, KIOKU_TYPE_TYPEDEF, "loop", 0, false, pointer);
	AUTO_TYPES struct kioku_types *types = open_btf(&btf);
	CHECK(types);
	CHECK_EQUAL(kioku_type_size(types, first), 0);
	CHECK_EQUAL(kioku_type_size(types, again), 0);
	CHECK_EQUAL(kioku_type_size(types, wide), 0);
	CHECK_EQUAL(kioku_type_member(types, self, "x", &found, NULL), KIOKU_ERROR_NOT_FOUND);
	for (uint32_t id = 0; id <= btf.count + 1; id++) {
		if (kioku_type_print(types, id, &text, NULL) == KIOKU_OK)
			free(text);
	}
	CHECK_EQUAL(kioku_type_print(types, self, &text, NULL), KIOKU_ERROR_LIMIT);
	CHECK_EQUAL(kioku_type_print(types, 0, &text, NULL), KIOKU_ERROR_UNSUPPORTED);
	CHECK(named && loop);
}

static void skips_unknown_kinds_by_their_layout(void)
{
	struct btf btf = { .header_size = 32, .layout_size = 0 };

	put_basics(&btf);
	uint32_t before = btf.count;
	type(&btf, 90, "", 0x10001, false, 0); /* with the 24 bits of a newer length */
	for (unsigned i = 0; i < 1 + 2; i++)
		put32(&btf, 0x55555555);
	btf.types_size -= 12;
	uint32_t after = type(&btf, KIOKU_TYPE_STRUCT, "after", 0, false, 4);
	AUTO_TYPES struct kioku_types *cut = open_btf(&btf);
	CHECK(cut);
	CHECK_EQUAL(kioku_types_count(cut), before);
	CHECK_SAYS(types_flaw(cut), "unknown kind 90");

	struct btf good = { .header_size = 32, .layout_size = 4 * 91 > 256 ? 256 : 4 * 91 };
	put_basics(&good);
	type(&good, 40, "", 2, false, 0);
	for (unsigned i = 0; i < 1 + 2 * 3; i++)
		put32(&good, 0x55555555);
	good.layout[4 * 40] = 4;
	good.layout[4 * 40 + 1] = 12;
	after = type(&good, KIOKU_TYPE_STRUCT, "after", 0, false, 4);
	AUTO_TYPES struct kioku_types *types = open_btf(&good);
	uint32_t id;
	CHECK(types && !types_flaw(types));
	CHECK_EQUAL(kioku_types_find(types, "after", &id, NULL), KIOKU_OK);
	CHECK_EQUAL(id, after);
	CHECK_EQUAL(kioku_type_size(types, after - 1), 0);
}

static void locates_the_kernels(void)
{
	struct btf module = { 0 }, kernel = { 0 };
	size_t module_size, kernel_size;
	uint64_t offset, size;

	put_basics(&module);
	put_task(&module);
	put_basics(&kernel);
	put_task(&kernel);
	type(&kernel, KIOKU_TYPE_DATA_SECTION, ".data..percpu", 0, false, 0);
	AUTO_FREE uint8_t *first = assemble(&module, &module_size);
	AUTO_FREE uint8_t *second = assemble(&kernel, &kernel_size);
	AUTO_FREE uint8_t *all = calloc(1, 3 << 20);
	memcpy(all + 100, "\x9f\xeb\x01\0\x18\0\0\0", 8);
	memcpy(all + 4000, first, module_size);
	struct window window = { .data = all, .size = 3 << 20 };
	CHECK(btf_locate(&window, &offset, &size));
	CHECK_EQUAL(offset, 4000);
	memcpy(all + (1 << 20) - 2, second, kernel_size); /* over the seam of what is searched */
	CHECK(btf_locate(&window, &offset, &size));
	CHECK_EQUAL(offset, (1 << 20) - 2);
	CHECK(size <= kernel_size && size + 3 >= kernel_size);
	memset(all, 0, 3 << 20);
	CHECK(!btf_locate(&window, &offset, &size));
}

static void serves_from_a_block(void)
{
	struct btf btf = { 0 };
	struct kioku_types *again = NULL;
	struct kioku_member found;
	uint64_t state = 3;
	uint32_t id;

	put_basics(&btf);
	uint32_t task = put_task(&btf);
	AUTO_TYPES struct kioku_types *types = open_btf(&btf);
	CHECK(types);
	struct bytes block = types_blob(types);
	CHECK_EQUAL(types_from_blob(block, &again, NULL), KIOKU_OK);
	CHECK_EQUAL(kioku_types_find(again, "task_struct", &id, NULL), KIOKU_OK);
	CHECK_EQUAL(id, task);
	types_close(again);
	/* Hostile ones. */
	for (unsigned round = 0; round < 500; round++) {
		size_t size = block.size;
		AUTO_FREE uint8_t *copy = malloc(size);
		memcpy(copy, block.data, size);
		for (unsigned i = 0; i < 4; i++) {
			state = state * 6364136223846793005ull + 1442695040888963407ull;
			copy[(round % 3 ? size - 48 : 0) +
			     (state >> 33) % (round % 3 ? 40 : size)] = (uint8_t)(state >> 56);
		}
		again = NULL;
		if (types_from_blob((struct bytes){ copy, size }, &again, NULL) != KIOKU_OK)
			continue;
		(void)!kioku_types_find(again, "task_struct", &id, NULL);
		for (id = 0; id < 40; id++) {
			char *text;
			(void)!kioku_type_member(again, id, "tasks.prev", &found, NULL);
			if (kioku_type_print(again, id, &text, NULL) == KIOKU_OK)
				free(text);
		}
		types_close(again);
	}
}

/* pahole reads the same BTF; every line of its layout with an offset must be in ours. */
static void prints_as_pahole_does(void)
{
	struct btf btf = { 0 };
	char path[] = "/tmp/kioku-btf-XXXXXX", command[128], line[256];
	AUTO_FREE char *text = NULL;
	size_t size;
	unsigned compared = 0;

	if (system("command -v pahole >/dev/null") != 0)
		SKIP("pahole is not installed");
	put_basics(&btf);
	uint32_t task = put_task(&btf);
	AUTO_FREE void *data = assemble(&btf, &size);
	int file = mkstemp(path);
	CHECK(file >= 0 && write(file, data, size) == (ssize_t)size);
	close(file);
	AUTO_TYPES struct kioku_types *types = open_btf(&btf);
	CHECK(types);
	CHECK_EQUAL(kioku_type_print(types, task, &text, NULL), KIOKU_OK);
	snprintf(command, sizeof(command), "pahole -F btf -C task_struct %s 2>&1", path);
	FILE *pahole = popen(command, "r");
	CHECK(pahole);
	while (fgets(line, sizeof(line), pahole)) {
		if (!strstr(line, "; ") || !strstr(line, "/*"))
			continue;
		compared++;
		CHECK_SAYS(text, line);
	}
	pclose(pahole);
	unlink(path);
	CHECK_EQUAL(compared, 10);
	CHECK_SAYS(text, "/* size: 96, members: 6 */");
	CHECK_SAYS(text, "/* XXX 7 bytes hole */");
}

TAP_MAIN(TEST(finds_types), TEST(finds_members), TEST(reads_old_bit_fields), TEST(ends_cycles),
	 TEST(skips_unknown_kinds_by_their_layout), TEST(locates_the_kernels),
	 TEST(serves_from_a_block), TEST(prints_as_pahole_does))
