/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images of swap areas: which area they are of, what is read from them, and what is said of it. */
#include "kernel/swap_area.h"
#include "tap.h"

enum { PAGES = 16, MESSAGE_ROOM = 4096 };

/* A kernel with two areas, and what it said. */
struct machine {
	struct kioku_kernel kernel;
	char said[MESSAGE_ROOM];
	char path[64];
	uint8_t file[(PAGES + 2) * PAGE_SIZE];
};

static void hear(void *user, enum kioku_severity severity, const char *message)
{
	static const char *const names[] = { "note: ", "warning: ", "gap: " };
	struct machine *machine = user;
	size_t used = strlen(machine->said);

	snprintf(machine->said + used, MESSAGE_ROOM - used, "%s%s\n", names[severity], message);
}

static void add_area(struct swap *swap, uint32_t type, uint64_t max, uint8_t uuid)
{
	swap->areas[type] = (struct swap_area){
		.is_used = true,
		.type = type,
		.max = max,
		.pages = max - 1,
		.has_uuid = uuid != 0,
		.name = "vda",
	};
	memset(swap->areas[type].uuid, uuid, SWAP_UUID_SIZE);
	swap->area_count = type + 1;
}

/* UUIDs of one byte, again and again; 0: the kernel does not have it any more. */
static struct machine *make_machine(uint8_t first, uint8_t second)
{
	struct machine *machine = calloc(1, sizeof(*machine));

	machine->kernel.diagnostics = (struct diagnostics){ hear, machine };
	machine->kernel.swap = calloc(1, sizeof(*machine->kernel.swap));
	machine->kernel.swap->areas_known = true;
	add_area(machine->kernel.swap, 0, PAGES, first);
	add_area(machine->kernel.swap, 1, PAGES, second);
	strcpy(machine->path, "/tmp/test-swap-XXXXXX");
	close(mkstemp(machine->path));
	return machine;
}

static void destroy(struct machine *machine)
{
	unlink(machine->path);
	free(machine);
}

/* Pages of the file hold their number. */
static void write_file(struct machine *machine, uint8_t uuid, const char *magic, size_t pages)
{
	uint8_t *header = machine->file;
	FILE *file = fopen(machine->path, "w");

	for (size_t i = 0; i < sizeof(machine->file); i++)
		machine->file[i] = (uint8_t)(i / PAGE_SIZE);
	memset(header, 0, PAGE_SIZE);
	store_le32(header + 1024, 1);
	store_le32(header + 1028, PAGES - 1);
	memset(header + 1036, uuid, SWAP_UUID_SIZE);
	memcpy(header + PAGE_SIZE - 20, "SWAPSPACE2", 10);
	memcpy(header + PAGE_SIZE - 10, magic, 10);
	CHECK(fwrite(machine->file, PAGE_SIZE, pages, file) == pages && fclose(file) == 0);
}

static enum kioku_status add(struct machine *machine)
{
	return swap_add_file(&machine->kernel, machine->path, NULL);
}

static struct swap_area *area(struct machine *machine, unsigned type)
{
	return &machine->kernel.swap->areas[type];
}

static bool says(const struct machine *machine, const char *text)
{
	return strstr(machine->said, text) != NULL;
}

static void by_uuid(void)
{
	struct machine *machine = make_machine(7, 9);

	write_file(machine, 9, "SWAPSPACE2", PAGES);
	CHECK_EQUAL(add(machine), KIOKU_OK);
	CHECK(!area(machine, 0)->file && area(machine, 1)->file);
	CHECK_EQUAL(add(machine), KIOKU_ERROR_REFUSED); /* it has one */
	write_file(machine, 8, "SWAPSPACE2", PAGES);
	CHECK_EQUAL(add(machine), KIOKU_ERROR_REFUSED);
	swap_say_use(&machine->kernel);
	swap_close(machine->kernel.swap);
	CHECK(machine->said[0] == '\0');
	destroy(machine);
}

static void by_size(void)
{
	struct machine *machine = make_machine(0, 9);

	write_file(machine, 8, "SWAPSPACE2", PAGES);
	CHECK_EQUAL(add(machine), KIOKU_OK);
	CHECK(area(machine, 0)->file && !area(machine, 1)->file);
	swap_say_use(&machine->kernel);
	swap_close(machine->kernel.swap);
	destroy(machine);

	machine = make_machine(0, 0); /* either of them */
	write_file(machine, 8, "SWAPSPACE2", PAGES);
	CHECK_EQUAL(add(machine), KIOKU_ERROR_REFUSED);
	area(machine, 0)->max = area(machine, 1)->max = PAGES + 1; /* none of them */
	CHECK_EQUAL(add(machine), KIOKU_ERROR_REFUSED);
	swap_say_use(&machine->kernel);
	swap_close(machine->kernel.swap);
	destroy(machine);
}

static void no_area(void)
{
	struct machine *machine = make_machine(7, 9);

	write_file(machine, 7, "SWAPSPACE1", PAGES);
	CHECK_EQUAL(add(machine), KIOKU_ERROR_CORRUPT);
	swap_say_use(&machine->kernel);
	swap_close(machine->kernel.swap);
	destroy(machine);
}

static void hibernated(void)
{
	struct machine *machine = make_machine(7, 9);

	write_file(machine, 7, "S1SUSPEND", PAGES);
	CHECK_EQUAL(add(machine), KIOKU_ERROR_UNSUPPORTED);
	swap_say_use(&machine->kernel);
	swap_close(machine->kernel.swap);
	destroy(machine);
}

/* Each page counts once, whatever it was read for. */
static void counted(void)
{
	struct machine *machine = make_machine(7, 9);
	uint8_t page[PAGE_SIZE];

	write_file(machine, 7, "SWAPSPACE2", PAGES - 2);
	CHECK_EQUAL(add(machine), KIOKU_OK);
	CHECK(says(machine, "has 14 of the 16 pages"));
	for (unsigned i = 0; i < 6; i++) {
		CHECK_EQUAL(swap_file_read(area(machine, 0), 1 + i % 3, page, NULL), KIOKU_OK);
		CHECK_EQUAL(page[0], 1 + i % 3);
		CHECK_EQUAL(page[PAGE_SIZE - 1], 1 + i % 3);
	}
	for (unsigned i = 0; i < 4; i++) {
		CHECK_EQUAL(swap_file_read(area(machine, 0), 14 + i % 2, page, NULL),
			    KIOKU_ERROR_PAGED_OUT);
		CHECK_EQUAL(swap_file_read(area(machine, 1), 5, page, NULL), KIOKU_ERROR_PAGED_OUT);
	}
	swap_say_use(&machine->kernel);
	swap_close(machine->kernel.swap);
	CHECK(says(machine, "warning: swap area 0: 3 of its pages were read from "));
	CHECK(says(machine, "does not have 2 of its pages"));
	CHECK(says(machine, "note: swap area 1: vda") && says(machine, "and 1 of its pages"));
	destroy(machine);
}

TAP_MAIN(TEST(by_uuid), TEST(by_size), TEST(no_area), TEST(hibernated), TEST(counted))
