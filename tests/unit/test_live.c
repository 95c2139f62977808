/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Live machines made of files; never the one that the test runs on. */
#include <elf.h>

#include "source/channel.h"
#include "source/live_driver.h"
#include "test_image.h"

#define PAGE       4096u
#define DIRECT_MAP 0xffff888000000000u
#define TEXT_MAP   0xffffffff80000000u
#define VMALLOC    0xffffc90000000000u
#define NOWHERE    UINT64_MAX

static const char iomem[] = "00000000-00000fff : Reserved\n"
			    "00001000-00004bff : System RAM\n"
			    "00004c00-00004fff : Reserved\n"
			    "00100000-00103fff : System RAM\n"
			    "  00101000-00101fff : Kernel code\n"
			    "00200000-00207fff : Persistent Memory\n"
			    "  00204000-00207fff : System RAM (kmem)\n";

static const char vmcoreinfo[] = "OSRELEASE=6.1.0\n";

/* A file that lives as long as the test. */
struct fake {
	int descriptor;
	char path[32];
};

static void fake_file(struct fake *fake, const void *data, size_t size)
{
	fake->descriptor = image_file(data, size);
	snprintf(fake->path, sizeof(fake->path), "/proc/self/fd/%d", fake->descriptor);
}

struct machine {
	struct fake iomem, kcore, mem, kpageflags, boot_id, cmdline;
	struct live_paths paths;
};

/* What lies in each page of physical memory: its number. */
static void put_memory(int descriptor, uint64_t offset, uint64_t physical, uint64_t size)
{
	for (uint64_t i = 0; i < size; i++) {
		uint8_t byte = (uint8_t)((physical + i) / PAGE);
		CHECK_EQUAL(pwrite(descriptor, &byte, 1, (off_t)(offset + i)), 1);
	}
}

/* Nothing of it is there: each test adds what it needs. */
static void make_machine(struct machine *machine)
{
	*machine = (struct machine){ 0 };
	fake_file(&machine->iomem, iomem, sizeof(iomem) - 1);
	fake_file(&machine->boot_id, "0-1-2\n", 6);
	fake_file(&machine->cmdline, "quiet\n", 6);
	machine->paths = (struct live_paths){
		.module = "/nowhere/kioku",
		.kcore = "/nowhere/kcore",
		.crash = "/nowhere/crash",
		.mem = "/nowhere/mem",
		.iomem = machine->iomem.path,
		.kpageflags = "/nowhere/kpageflags",
		.lockdown = "/nowhere/lockdown",
		.boot_id = machine->boot_id.path,
		.cmdline = machine->cmdline.path,
	};
}

static void add_mem(struct machine *machine)
{
	fake_file(&machine->mem, "", 0);
	put_memory(machine->mem.descriptor, 0, 0, 0x5000);
	put_memory(machine->mem.descriptor, 0x100000, 0x100000, 0x4000);
	put_memory(machine->mem.descriptor, 0x204000, 0x204000, 0x4000);
	machine->paths.mem = machine->mem.path;
}

static void put_segment(struct image *image, uint32_t type, uint64_t virtual, uint64_t physical,
			uint64_t size, uint64_t offset)
{
	put(image, 4, type);
	put(image, 4, 7);
	put(image, 8, offset);
	put(image, 8, virtual);
	put(image, 8, physical);
	put(image, 8, size);
	put(image, 8, size);
	put(image, 8, 0);
}

static void put_elf(struct image *image, uint16_t type, uint16_t count)
{
	*image = (struct image){ 0 };
	put_bytes(image,
		  "\x7f"
		  "ELF\2\1\1",
		  7);
	put_fill(image, 0, 9);
	put(image, 2, type);
	put(image, 2, EM_X86_64);
	put(image, 4, 1);
	put(image, 8, 0);
	put(image, 8, 64);
	put(image, 8, 0);
	put(image, 4, 0);
	put(image, 2, 64);
	put(image, 2, 56);
	put(image, 2, count);
	put_fill(image, 0, 6);
}

/* As elf_kcore_store_hdr() writes it; before 4.11, without physical addresses. */
static void put_kcore(struct image *image, bool has_physical)
{
	static const struct {
		uint64_t virtual, physical, size, offset;
	} loads[] = {
		{ TEXT_MAP + 0x1000000, 0x101000, 0x1000, 0x10000 },
		{ VMALLOC, NOWHERE, 1ull << 45, 0x7000000000000000 },
		{ DIRECT_MAP + 0x1000, 0x1000, 0x3000, 0x20000 },
		{ DIRECT_MAP + 0x100000, 0x100000, 0x4000, 0x30000 },
		{ DIRECT_MAP + 0x204000, 0x204000, 0x4000, 0x40000 },
	};

	put_elf(image, ET_CORE, 1 + sizeof(loads) / sizeof(*loads));
	put_segment(image, PT_NOTE, 0, 0, 12 + 12 + sizeof(vmcoreinfo), 0x800);
	for (size_t i = 0; i < sizeof(loads) / sizeof(*loads); i++)
		put_segment(image, PT_LOAD, loads[i].virtual, has_physical ? loads[i].physical : 0,
			    loads[i].size, loads[i].offset);
	put_fill(image, 0, 0x800 - image->size);
	put(image, 4, 11);
	put(image, 4, sizeof(vmcoreinfo) - 1);
	put(image, 4, 0);
	put_bytes(image, "VMCOREINFO\0", 12);
	put_bytes(image, vmcoreinfo, sizeof(vmcoreinfo));
}

static void add_kcore(struct machine *machine, const struct image *image)
{
	fake_file(&machine->kcore, image->data, image->size);
	int descriptor = machine->kcore.descriptor;
	CHECK_EQUAL(ftruncate(descriptor, 0x50000), 0);
	put_memory(descriptor, 0x10000, 0xff000, 0x1000); /* the text: not to be read */
	put_memory(descriptor, 0x20000, 0x1000, 0x3000);
	put_memory(descriptor, 0x30000, 0x100000, 0x4000);
	put_memory(descriptor, 0x40000, 0x204000, 0x4000);
	machine->paths.kcore = machine->kcore.path;
}

static struct kioku_source *open_machine(const struct machine *machine, const char *name,
					 struct heard *heard)
{
	struct kioku_source_options options = { .size = sizeof(options),
						.diagnostic = hear,
						.diagnostic_user = heard };
	struct kioku_source *source;

	*heard = (struct heard){ 0 };
	heard->status = source_open_on(&machine->paths, name, &options, &source, &heard->error);
	CHECK_EQUAL(heard->status, source ? KIOKU_OK : heard->error.status);
	return source;
}

static void check_memory(struct kioku_source *source)
{
	struct kioku_error error;
	uint8_t buffer[2 * PAGE];

	CHECK(kioku_source_is_live(source));
	CHECK_EQUAL(range_count(source), 3);
	CHECK_RANGE(source, 0, 0x1000, 0x3c00, KIOKU_RANGE_PRESENT);
	CHECK_RANGE(source, 1, 0x100000, 0x4000, KIOKU_RANGE_PRESENT);
	CHECK_RANGE(source, 2, 0x204000, 0x4000, KIOKU_RANGE_PRESENT);
	CHECK_EQUAL(byte_at(source, 0), -1);
	CHECK_EQUAL(byte_at(source, 0x1000), 1);
	CHECK_EQUAL(byte_at(source, 0x3fff), 3);
	CHECK_EQUAL(byte_at(source, 0x4bff), 4);
	CHECK_EQUAL(byte_at(source, 0x4c00), -1);
	CHECK_EQUAL(byte_at(source, 0x101fff), 1);
	CHECK_EQUAL(byte_at(source, 0x207fff), 7);
	CHECK_EQUAL(kioku_source_read(source, 0x3ff0, buffer, 0x20, NULL), KIOKU_OK);
	CHECK(buffer[0xf] == 3 && buffer[0x10] == 4 && buffer[0x1f] == 4);
	CHECK_EQUAL(kioku_source_read(source, 0x102800, buffer, 2 * PAGE, &error),
		    KIOKU_ERROR_ABSENT);
	CHECK_EQUAL(error.address, 0x104000);

	struct bytes bytes;
	uint64_t physical = 0x4c00;
	CHECK(!source_map(source, 0x1000, 1, &bytes));
	CHECK_EQUAL(source_next_data(source, &physical, UINT64_MAX), 0x4000);
	CHECK_EQUAL(physical, 0x100000);
}

static void reads_kcore(void)
{
	struct machine machine;
	struct image image;
	struct heard heard;
	size_t size;

	make_machine(&machine);
	add_mem(&machine);
	put_kcore(&image, true);
	add_kcore(&machine, &image);
	AUTO_SOURCE struct kioku_source *source = open_machine(&machine, "live", &heard);
	CHECK(source && heard.gaps + heard.others == 0);
	CHECK_SAYS(kioku_source_format(source), "kcore");
	check_memory(source);
	const char *text = kioku_source_vmcoreinfo(source, &size);
	CHECK(text && size == sizeof(vmcoreinfo) - 1 && memcmp(text, vmcoreinfo, size) == 0);
	kioku_source_cpus(source, &size);
	CHECK_EQUAL(size, 0);

	const struct live_machine *facts = source_live_machine(source);
	CHECK(strcmp(facts->boot_id, "0-1-2") == 0 && strcmp(facts->cmdline, "quiet") == 0);
	CHECK(strcmp(facts->iomem, iomem) == 0 && facts->host_name[0] && facts->refusal_count == 0);
}

static void reads_kcore_without_physical_addresses(void)
{
	struct machine machine;
	struct image image;
	struct heard heard;

	make_machine(&machine);
	add_mem(&machine);
	put_kcore(&image, false);
	add_kcore(&machine, &image);
	AUTO_SOURCE struct kioku_source *source = open_machine(&machine, "kcore", &heard);
	CHECK(source && heard.gaps + heard.others == 0);
	check_memory(source);
}

static void says_what_kcore_lacks(void)
{
	struct machine machine;
	struct image image;
	struct heard heard;

	make_machine(&machine);
	put_kcore(&image, true);
	add_kcore(&machine, &image);
	AUTO_SOURCE struct kioku_source *source = open_machine(&machine, "kcore", &heard);
	CHECK(source && heard.gaps == 1 && heard.others == 0);
	CHECK_SAYS(heard.last, "3072 bytes");
	CHECK_SAYS(heard.last, "0x4000");
	CHECK_SAYS(heard.last, "there is no /nowhere/mem");
	CHECK_RANGE(source, 0, 0x1000, 0x3000, KIOKU_RANGE_PRESENT);
	CHECK_RANGE(source, 1, 0x4000, 0xc00, KIOKU_RANGE_UNREADABLE);
	CHECK_EQUAL(byte_at(source, 0x4000), -1);
}

static void refuses_what_is_no_kcore(void)
{
	static const char garbage[64] = "\x7f"
					"ELF\2\1\1";
	struct machine machine;
	struct image image;
	struct heard heard;

	make_machine(&machine);
	fake_file(&machine.kcore, garbage, sizeof(garbage));
	machine.paths.kcore = machine.kcore.path;
	CHECK(!open_machine(&machine, "kcore", &heard));
	put_elf(&image, ET_CORE, PN_XNUM);
	add_kcore(&machine, &image);
	CHECK(!open_machine(&machine, "kcore", &heard));
	put_elf(&image, ET_CORE, 0);
	add_kcore(&machine, &image);
	CHECK(!open_machine(&machine, "kcore", &heard));
	CHECK_EQUAL(heard.status, KIOKU_ERROR_UNSUPPORTED);

	/* Nothing that could be read at offsets like these. */
	put_elf(&image, ET_CORE, 3);
	put_segment(&image, PT_LOAD, DIRECT_MAP + 0x1000, 0x1000, 0x3000, UINT64_MAX - 0x1000);
	put_segment(&image, PT_LOAD, DIRECT_MAP + 0x1000, 0x1000, UINT64_MAX, 0x1000);
	put_segment(&image, PT_NOTE, 0, 0, UINT64_MAX, UINT64_MAX);
	add_kcore(&machine, &image);
	CHECK(!open_machine(&machine, "kcore", &heard));
	CHECK_SAYS(heard.error.message, "shows no RAM");

	/* Without physical addresses, and of sizes that no range has. */
	put_elf(&image, ET_CORE, 2);
	put_segment(&image, PT_LOAD, DIRECT_MAP + 0x1000, 0, 0x3000, 0x20000);
	put_segment(&image, PT_LOAD, DIRECT_MAP + 0x100000, 0, 0x2000, 0x30000);
	add_kcore(&machine, &image);
	CHECK(!open_machine(&machine, "kcore", &heard));
	CHECK_SAYS(heard.error.message, "do not fit");
}

static void tries_one_after_the_other(void)
{
	struct machine machine;
	struct heard heard;

	make_machine(&machine);
	CHECK(!open_machine(&machine, "live", &heard));
	CHECK_EQUAL(heard.status, KIOKU_ERROR_UNSUPPORTED);
	CHECK_EQUAL(heard.others, 0);
	CHECK_SAYS(heard.error.message, "kcore: there is no /nowhere/kcore; devcrash: ");
	CHECK_SAYS(heard.error.message, "devmem: there is no /nowhere/mem; kioku.ko is not loaded");

	add_mem(&machine);
	AUTO_SOURCE struct kioku_source *source = open_machine(&machine, "live", &heard);
	CHECK(source && heard.gaps == 0 && heard.others == 2);
	CHECK_SAYS(heard.last, "devcrash is not used: there is no /nowhere/crash");
	CHECK_SAYS(kioku_source_format(source), "devmem");
	check_memory(source);
	const struct live_machine *facts = source_live_machine(source);
	CHECK_EQUAL(facts->refusal_count, 2);
	CHECK_SAYS(facts->refusals[0].driver, "kcore");
	CHECK_SAYS(facts->refusals[1].reason, "/nowhere/crash");

	machine.paths.crash = machine.mem.path;
	AUTO_SOURCE struct kioku_source *other = open_machine(&machine, "live", &heard);
	CHECK(other && heard.others == 1);
	CHECK_SAYS(kioku_source_format(other), "devcrash");
	check_memory(other);
}

/* A module that is there comes first; a file that is none of its is refused, as a module that is not there. */
static void asks_the_module_first(void)
{
	struct machine machine;
	struct heard heard;

	make_machine(&machine);
	add_mem(&machine);
	CHECK(!open_machine(&machine, "module", &heard));
	CHECK_SAYS(heard.error.message, "there is no /nowhere/kioku");
	machine.paths.module = machine.mem.path;
	CHECK(!open_machine(&machine, "module", &heard));
	CHECK_SAYS(heard.error.message, "is not kioku.ko's");

	AUTO_SOURCE struct kioku_source *source = open_machine(&machine, "live", &heard);
	CHECK(source && heard.others == 3);
	CHECK_SAYS(source_live_machine(source)->refusals[0].driver, "module");
	CHECK_SAYS(kioku_source_format(source), "devmem");
	check_memory(source);
}

/* A kcore that was no use leaves nothing behind that would stop the next. */
static void goes_on_after_a_bad_kcore(void)
{
	struct machine machine;
	struct image image;
	struct heard heard;

	make_machine(&machine);
	add_mem(&machine);
	put_elf(&image, ET_CORE, 0);
	add_kcore(&machine, &image);
	AUTO_SOURCE struct kioku_source *source = open_machine(&machine, "live", &heard);
	CHECK(source && heard.others == 2);
	CHECK_SAYS(kioku_source_format(source), "devmem");
	check_memory(source);
}

static void refuses_hidden_addresses(void)
{
	static const char hidden[] = "00000000-00000000 : System RAM\n";
	struct machine machine;
	struct heard heard;

	make_machine(&machine);
	add_mem(&machine);
	fake_file(&machine.iomem, hidden, sizeof(hidden) - 1);
	machine.paths.iomem = machine.iomem.path;
	CHECK(!open_machine(&machine, "live", &heard));
	CHECK_EQUAL(heard.status, KIOKU_ERROR_UNSUPPORTED);
	CHECK_SAYS(heard.error.message, "cannot open live: ");
	CHECK_SAYS(heard.error.message, "CAP_SYS_ADMIN");
}

static void names_that_are_paths(void)
{
	CHECK(source_is_live_name("live") && source_is_live_name("devmem"));
	CHECK(!source_is_live_name("./live") && !source_is_live_name("live:x"));
	CHECK(!source_is_live_name(""));
}

static void channels_know_page_states(void)
{
	uint64_t flags[0x102] = { [2] = 1ull << 19, [3] = 1ull << 23, [0x101] = 1ull << 20 };
	struct machine machine;
	struct image image;
	struct heard heard;
	struct source_channel *channel;
	uint8_t states[4], buffer[PAGE], many[2000];

	make_machine(&machine);
	add_mem(&machine);
	put_kcore(&image, true);
	add_kcore(&machine, &image);
	AUTO_SOURCE struct kioku_source *source = open_machine(&machine, "live", &heard);
	CHECK_EQUAL(source_channel_open(source, &channel, NULL), KIOKU_OK);
	CHECK(source_channel_is_free(channel));
	CHECK(!source_channel_states(channel, 0x1000, 4, states));
	source_channel_close(channel);

	fake_file(&machine.kpageflags, flags, sizeof(flags));
	machine.paths.kpageflags = machine.kpageflags.path;
	CHECK_EQUAL(source_channel_open(source, &channel, NULL), KIOKU_OK);
	CHECK(source_channel_states(channel, 0x1000, 4, states));
	CHECK(states[0] == PAGE_READ && states[1] == PAGE_POISONED);
	CHECK(states[2] == PAGE_OFFLINE && states[3] == PAGE_READ);
	CHECK(source_channel_states(channel, 0x100000, 4, states)); /* the file ends within */
	CHECK(states[0] == PAGE_READ && states[1] == PAGE_OFFLINE && states[2] == PAGE_READ);
	CHECK(source_channel_states(channel, 0, sizeof(many), many));
	CHECK(many[2] == PAGE_POISONED && many[0x101] == PAGE_OFFLINE && many[1999] == PAGE_READ);
	CHECK_EQUAL(source_channel_read(channel, 0x101000, buffer, PAGE, NULL), KIOKU_OK);
	CHECK(buffer[0] == 1 && buffer[PAGE - 1] == 1);
	CHECK_EQUAL(source_channel_read(channel, 0x4000, buffer, 0xc00, NULL), KIOKU_OK);
	CHECK_EQUAL(buffer[0xbff], 4);
	source_channel_close(channel);
}

/* Memory blocks that are offline stay in iomem, kcore leaves them out, and flags know neither. */
static void tells_offline_from_lost(void)
{
	static const char more[] = "00300000-00304bff : System RAM\n";
	uint64_t flags[0x310] = { [0x301] = 1ull << 20, [0x302] = 1ull << 20 };
	struct machine machine;
	struct image image;
	struct heard heard;
	enum page_state state;

	make_machine(&machine);
	put_kcore(&image, true);
	add_kcore(&machine, &image);
	CHECK_EQUAL(write(machine.iomem.descriptor, more, sizeof(more) - 1), sizeof(more) - 1);
	fake_file(&machine.kpageflags, flags, sizeof(flags));
	machine.paths.kpageflags = machine.kpageflags.path;
	AUTO_SOURCE struct kioku_source *source = open_machine(&machine, "kcore", &heard);
	CHECK(source && heard.gaps == 1 && heard.others == 1);
	CHECK_SAYS(heard.last, "14336 bytes of RAM, the first at physical address 0x4000");
	CHECK_RANGE(source, 4, 0x300000, 0x4c00, KIOKU_RANGE_UNREADABLE);

	CHECK_EQUAL(source_absent_run(source, 0x300000, 0x4c00, &state), 0x1000);
	CHECK_EQUAL(state, PAGE_MISSING);
	CHECK_EQUAL(source_absent_run(source, 0x301000, 0x3c00, &state), 0x2000);
	CHECK_EQUAL(state, PAGE_OFFLINE);
	CHECK_EQUAL(source_absent_run(source, 0x303000, 0x1c00, &state), 0x1c00);
	CHECK_EQUAL(state, PAGE_MISSING);
}

static void notices_added_memory(void)
{
	static const char more[] = "00300000-00300fff : System RAM\n";
	struct machine machine;
	struct image image;
	struct heard heard;
	struct source_channel *channel;

	make_machine(&machine);
	add_mem(&machine);
	put_kcore(&image, true);
	add_kcore(&machine, &image);
	AUTO_SOURCE struct kioku_source *source = open_machine(&machine, "live", &heard);
	CHECK(!source_iomem_changed(source));
	CHECK_EQUAL(write(machine.iomem.descriptor, more, sizeof(more) - 1), sizeof(more) - 1);
	CHECK(source_iomem_changed(source));

	put_elf(&image, ET_CORE, 7);
	CHECK_EQUAL(pwrite(machine.kcore.descriptor, image.data, image.size, 0), image.size);
	CHECK_EQUAL(source_channel_open(source, &channel, &heard.error), KIOKU_ERROR_UNSUPPORTED);
	CHECK_SAYS(heard.error.message, "memory was added");
}

TAP_MAIN(TEST(reads_kcore), TEST(reads_kcore_without_physical_addresses),
	 TEST(says_what_kcore_lacks), TEST(refuses_what_is_no_kcore),
	 TEST(tries_one_after_the_other), TEST(goes_on_after_a_bad_kcore),
	 TEST(asks_the_module_first), TEST(goes_on_after_a_bad_kcore),
	 TEST(refuses_hidden_addresses), TEST(names_that_are_paths),
	 TEST(channels_know_page_states), TEST(tells_offline_from_lost), TEST(notices_added_memory))
