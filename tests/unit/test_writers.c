/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images as the writers make them, into memory, and what readers find in them. */
#ifdef HAVE_SNAPPY
#include <snappy-c.h>
#endif

#include "capture/page_compressor.h"
#include "format/avml_format.h"
#include "format/elf_format.h"
#include "format/flattened_format.h"
#include "format/kdump_format.h"
#include "test_writing.h"

#define HIGH 0x100000000ull

/* As a PC has it, with ends that are no page's, a hole, and pages that two ranges share. */
static struct plan_range odd_ranges[] = {
	{ .start = 0x1000, .size = 0x9ec00, .is_stored = true },
	{ .start = 0x100000, .size = 0x280123, .is_stored = true },
	{ .start = 0x380200, .size = 0x10, .is_stored = true },
	{ .start = 0x380800, .size = 0x100, .is_stored = false, .absent = PAGE_EXCLUDED },
	{ .start = 0x380900, .size = 0x1701, .is_stored = true },
	{ .start = 0x400000, .size = 0x3000, .is_stored = false, .absent = PAGE_EXCLUDED },
	{ .start = HIGH - 5, .size = 10, .is_stored = true },
	{ .start = HIGH + 0x40000000, .size = 0x201000, .is_stored = true },
};

static void elf_keeps_every_byte(void)
{
	struct memory memory = MEMORY(odd_ranges, mixed);
	AUTO_SOURCE struct kioku_source *silent = silent_source();
	struct job job = { .format = &elf_writer, .source = silent };
	struct heard heard;

	struct bytes image = written(&job, &memory);
	AUTO_SOURCE struct kioku_source *source = open_as("", image.data, image.size, &heard);
	CHECK(source && heard.gaps == 0 && heard.others == 0);
	check_content(source, &memory);
	CHECK_EQUAL(range_count(source), 6);
	CHECK_RANGE(source, 0, 0x1000, 0x9ec00, KIOKU_RANGE_PRESENT);
	CHECK_RANGE(source, 4, HIGH - 5, 10, KIOKU_RANGE_PRESENT);
	output_release(&job.output);
}

/* Which makedumpfile and volatility3 rely on. */
static void elf_headers_are_where_others_look(void)
{
	struct memory memory = MEMORY(odd_ranges, mixed);
	AUTO_SOURCE struct kioku_source *silent = silent_source();
	struct job job = { .format = &elf_writer, .source = silent };
	struct elf_header header;
	struct elf_segment segment;

	struct bytes image = written(&job, &memory), table;
	CHECK(!elf_header_decode(image, &header));
	CHECK_EQUAL(header.segment_offset, 64);
	CHECK_EQUAL(header.segment_count, 7);
	CHECK_EQUAL(header.machine, EM_X86_64);
	CHECK(bytes_slice(image, 64, 7 * ELF_SEGMENT_SIZE, &table));
	CHECK(elf_segment_decode(table, &header, 0, &segment) && segment.type == PT_NOTE);
	for (uint32_t i = 1; i < header.segment_count; i++) {
		CHECK(elf_segment_decode(table, &header, i, &segment));
		CHECK(segment.type == PT_LOAD && segment.filesz == segment.memsz);
		CHECK_EQUAL(segment.offset % CAPTURE_PAGE, segment.paddr % CAPTURE_PAGE);
		CHECK_EQUAL(segment.vaddr, segment.paddr);
	}
	CHECK_EQUAL(segment.offset + segment.filesz, image.size);
	output_release(&job.output);
}

static void elf_counts_many_segments(void)
{
	enum { MANY = 70000 };
	AUTO_FREE struct plan_range *ranges = calloc(MANY, sizeof(*ranges));
	struct memory memory = { { ranges, MANY, MANY }, mixed };
	AUTO_SOURCE struct kioku_source *silent = silent_source();
	struct job job = { .format = &elf_writer, .source = silent };
	struct heard heard;

	for (size_t i = 0; i < MANY; i++)
		ranges[i] = (struct plan_range){ 0x1000 + 32 * i, 1, true, PAGE_READ };
	struct bytes image = written(&job, &memory);
	AUTO_SOURCE struct kioku_source *source = open_as("", image.data, image.size, &heard);
	CHECK(source && heard.gaps == 0);
	CHECK_EQUAL(range_count(source), MANY);
	check_content(source, &memory);
	output_release(&job.output);
}

/* --- kdump */

static const char *const page_codecs[] = { NULL, "zlib", "zstd", "snappy", "none" };

static bool is_missing(const char *name)
{
	enum page_codec codec;

	return name && page_codec_named(name, &codec) && page_codec_missing(codec);
}

static void check_kdump(struct kioku_source *source, const struct memory *memory)
{
	check_content(source, memory);
	CHECK_EQUAL(range_count(source), 5);
	CHECK_RANGE(source, 0, 0x1000, 0x9f000, KIOKU_RANGE_PRESENT);
	CHECK_RANGE(source, 1, 0x100000, 0x283000, KIOKU_RANGE_PRESENT);
	CHECK_RANGE(source, 2, 0x400000, 0x3000, KIOKU_RANGE_EXCLUDED);
	CHECK_RANGE(source, 3, HIGH - 0x1000, 0x2000, KIOKU_RANGE_PRESENT);
	/* Around what is in the plan, in pages that are not all in it. */
	CHECK_EQUAL(byte_at(source, 0x9fc00), 0);
	CHECK_EQUAL(byte_at(source, 0x380123), 0);
	CHECK_EQUAL(byte_at(source, 0x380210), 0);
	CHECK_EQUAL(byte_at(source, 0x380800), 0);
	CHECK_EQUAL(byte_at(source, HIGH + 5), 0);
}

static void kdump_keeps_every_byte(void)
{
	struct memory memory = MEMORY(odd_ranges, mixed);
	AUTO_SOURCE struct kioku_source *silent = silent_source();

	for (size_t i = 0; i < 2 * COUNT(page_codecs); i++) {
		struct job job = { .format = &kdump_writer,
				   .source = silent,
				   .page_codec = page_codecs[i / 2],
				   .can_seek = i % 2 };
		struct heard heard;
		if (is_missing(job.page_codec))
			continue;
		struct bytes image = written(&job, &memory);
		CHECK_EQUAL(flattened_is_magic(image), !job.can_seek);
		AUTO_SOURCE struct kioku_source *source =
			open_as("", image.data, image.size, &heard);
		CHECK(source && heard.gaps == 0 && heard.others == 0);
		check_kdump(source, &memory);
		output_release(&job.output);
	}
}

/* A flattened file describes the file that is written where that is possible, byte for byte. */
static void kdump_flattened_is_the_same(void)
{
	struct memory memory = MEMORY(odd_ranges, mixed);
	AUTO_SOURCE struct kioku_source *silent = silent_source();
	struct job plain = { .format = &kdump_writer, .source = silent, .can_seek = true };
	struct job flat = { .format = &kdump_writer, .source = silent };
	struct flattened flattened = { 0 };
	uint64_t offset = FLATTENED_HEADER_SIZE;

	struct bytes image = written(&plain, &memory), described = written(&flat, &memory);
	while (!flattened.complete)
		CHECK_EQUAL(flattened_take_record(&flattened, described.data + offset,
						  described.size, &offset, NULL),
			    KIOKU_OK);
	CHECK_EQUAL(offset + FLATTENED_RECORD_SIZE, described.size);
	CHECK_EQUAL(flattened_finish(&flattened, NULL), KIOKU_OK);
	CHECK_EQUAL(flattened.size, image.size);
	for (size_t i = 0; i < flattened.records.count; i++) {
		const struct extent *record = &flattened.records.extents[i];
		CHECK(memcmp(image.data + record->start, described.data + record->offset,
			     record->size) == 0);
	}
	flattened_release(&flattened);
	output_release(&plain.output);
	output_release(&flat.output);
}

static enum kind nothing(uint64_t physical)
{
	return ZERO;
}

static void kdump_shares_pages_of_zeros(void)
{
	struct plan_range ranges[] = { { .start = 0, .size = 16 << 20, .is_stored = true } };
	struct memory memory = MEMORY(ranges, nothing);
	AUTO_SOURCE struct kioku_source *silent = silent_source();
	struct job job = { .format = &kdump_writer, .source = silent, .can_seek = true };

	written(&job, &memory);
	CHECK_EQUAL(job.output.parts[0].size, job.output.back_start + CAPTURE_PAGE);
	output_release(&job.output);
}

static enum kind only_noise(uint64_t physical)
{
	return NOISE;
}

static void kdump_stores_what_does_not_compress(void)
{
	struct plan_range ranges[] = { { .start = 0x5000, .size = 0x10000, .is_stored = true } };
	struct memory memory = MEMORY(ranges, only_noise);
	AUTO_SOURCE struct kioku_source *silent = silent_source();

	for (size_t i = 0; i < COUNT(page_codecs); i++) {
		struct job job = { .format = &kdump_writer,
				   .source = silent,
				   .page_codec = page_codecs[i],
				   .can_seek = true };
		if (is_missing(job.page_codec))
			continue;
		written(&job, &memory);
		CHECK_EQUAL(job.output.parts[0].size, job.output.back_start + 0x10000);
		output_release(&job.output);
	}
}

/* What was not written is lost and not zero. */
static void kdump_that_was_stopped(void)
{
	struct plan_range ranges[] = { { .start = 0, .size = 4 << 20, .is_stored = true } };
	struct memory memory = MEMORY(ranges, mixed);
	AUTO_SOURCE struct kioku_source *silent = silent_source();

	for (int can_seek = 0; can_seek < 2; can_seek++) {
		struct job job = { .format = &kdump_writer,
				   .source = silent,
				   .can_seek = can_seek,
				   .stop_after = 2 << 20 };
		struct heard heard;
		struct bytes image = written(&job, &memory);
		AUTO_SOURCE struct kioku_source *source =
			open_as("", image.data, image.size, &heard);
		CHECK(source && heard.gaps == (can_seek ? 1 : 2));
		CHECK_RANGE(source, 0, 0, 2 << 20, KIOKU_RANGE_PRESENT);
		CHECK_RANGE(source, 1, 2 << 20, 2 << 20, KIOKU_RANGE_UNREADABLE);
		CHECK_EQUAL(byte_at(source, (2 << 20) - 1), byte_of(&memory, (2 << 20) - 1));
		output_release(&job.output);
	}
}

static void kdump_bitmaps_have_holes(void)
{
	struct plan_range ranges[] = {
		{ .start = 0x7000, .size = 0x1000, .is_stored = true },
		{ .start = 1ull << 36, .size = 0x23000, .is_stored = true },
		{ .start = (1ull << 36) + (1ull << 27) - 0x1000,
		  .size = 0x2000,
		  .is_stored = true },
	};
	struct memory memory = MEMORY(ranges, mixed);
	AUTO_SOURCE struct kioku_source *silent = silent_source();
	struct job job = { .format = &kdump_writer, .source = silent, .can_seek = true };
	struct heard heard;

	struct bytes image = written(&job, &memory);
	AUTO_SOURCE struct kioku_source *source = open_as("", image.data, image.size, &heard);
	CHECK(source && heard.gaps == 0);
	CHECK_EQUAL(range_count(source), 3);
	for (size_t i = 0; i < 3; i++)
		CHECK_RANGE(source, i, ranges[i].start, ranges[i].size, KIOKU_RANGE_PRESENT);
	check_content(source, &memory);
	output_release(&job.output);
}

static void kdump_refuses_unknown_codecs(void)
{
	struct memory memory = MEMORY(odd_ranges, mixed);
	AUTO_SOURCE struct kioku_source *silent = silent_source();
	struct job job = { .format = &kdump_writer, .source = silent, .page_codec = "lzo" };
	struct kioku_error error;

	CHECK_EQUAL(write_image(&job, &memory, &error), KIOKU_ERROR_ARGUMENT);
	CHECK_SAYS(error.message, "lzo");
	CHECK_EQUAL(job.output.calls, 0);
}

/* --- AVML */

static uint64_t unpack_chunk(struct bytes payload, const struct snappy_chunk *chunk,
			     const struct memory *memory, uint64_t physical)
{
	char content[SNAPPY_CONTENT_LIMIT];
	size_t size = sizeof(content);

	if (chunk->kind == SNAPPY_STORED) {
		CHECK(payload.size <= size);
		size = payload.size;
		memcpy(content, payload.data, size);
	} else {
#ifdef HAVE_SNAPPY
		CHECK(chunk->kind == SNAPPY_COMPRESSED);
		CHECK(snappy_uncompress((const char *)payload.data, payload.size, content, &size) ==
		      SNAPPY_OK);
#endif
	}
	CHECK_EQUAL(snappy_checksum(content, size), chunk->checksum);
	for (size_t i = 0; i < size; i++)
		CHECK_EQUAL((uint8_t)content[i], byte_of(memory, physical + i));
	return size;
}

struct avml_seen {
	uint64_t blocks, overlong, memory; /* bytes */
	uint64_t last;                     /* the end of the last block */
};

/* Reads an image as AVML itself does, one block after the other. */
static struct avml_seen read_avml(struct bytes image, const struct memory *memory)
{
	struct avml_seen seen = { 0 };

	for (uint64_t offset = 0; offset < image.size; seen.blocks++) {
		struct bytes head, payload;
		struct avml_header header;
		CHECK(bytes_slice(image, offset, AVML_HEADER_SIZE, &head));
		CHECK(!avml_header_decode(head, &header));
		CHECK(header.start >= seen.last);
		uint64_t stream = offset + AVML_HEADER_SIZE, at = header.start;
		CHECK(bytes_slice(image, stream, SNAPPY_STREAM_HEAD_SIZE, &head));
		CHECK(memcmp(head.data, SNAPPY_STREAM_HEAD, SNAPPY_STREAM_HEAD_SIZE) == 0);
		offset = stream + SNAPPY_STREAM_HEAD_SIZE;
		while (at <= header.last) {
			struct snappy_chunk chunk;
			CHECK(bytes_slice(image, offset, SNAPPY_CHUNK_HEAD_SIZE, &head));
			CHECK(!snappy_chunk_decode(head, &chunk));
			offset += SNAPPY_CHUNK_HEAD_SIZE;
			CHECK(bytes_slice(image, offset, chunk.size, &payload));
			at += unpack_chunk(payload, &chunk, memory, at);
			offset += chunk.size;
		}
		CHECK_EQUAL(at, header.last + 1);
		CHECK(bytes_slice(image, offset, AVML_TRAILER_SIZE, &head));
		CHECK_EQUAL(avml_trailer_decode(head.data), offset - stream);
		seen.overlong += offset - stream > header.last - header.start;
		seen.memory += at - header.start;
		seen.last = at;
		offset += AVML_TRAILER_SIZE;
	}
	return seen;
}

static struct avml_seen through_avml(const struct memory *memory, struct heard *heard)
{
	AUTO_SOURCE struct kioku_source *silent = silent_source();
	struct job job = { .format = &avml_writer, .source = silent };
	struct avml_seen seen = read_avml(written(&job, memory), memory);

	*heard = job.heard;
	output_release(&job.output);
	return seen;
}

static void need_snappy(void)
{
#ifndef HAVE_SNAPPY
	SKIP("built without snappy");
#endif
}

static void avml_keeps_every_byte(void)
{
	/* Without the range of 10 bytes, which no stream can be shorter than. */
	struct plan_range ranges[] = { odd_ranges[0], odd_ranges[1], odd_ranges[3], odd_ranges[4],
				       odd_ranges[7] };
	struct memory memory = MEMORY(ranges, mixed);
	struct heard heard;

	need_snappy();
	struct avml_seen seen = through_avml(&memory, &heard);
	CHECK_EQUAL(seen.memory, 0x9ec00 + 0x280123 + 0x1701 + 0x201000);
	CHECK(seen.blocks == 4 && seen.overlong == 0 && heard.others == 0);
}

/* A MiB of text, one of noise, and so on; then the other way round. */
static enum kind text_first(uint64_t physical)
{
	return physical / CAPTURE_BLOCK % 8 == 0 ? TEXT : NOISE;
}

static enum kind noise_first(uint64_t physical)
{
	return physical / CAPTURE_BLOCK % 4 == 3 ? TEXT : NOISE;
}

static void avml_makes_up_for_noise(void)
{
	struct plan_range ranges[] = { { .start = 0, .size = 20 << 20, .is_stored = true } };
	struct memory memory = MEMORY(ranges, text_first);
	struct heard heard;

	need_snappy();
	struct avml_seen seen = through_avml(&memory, &heard);
	CHECK_EQUAL(seen.memory, 20 << 20);
	CHECK(seen.blocks == 1 && seen.overlong == 0 && heard.others == 0);
	memory.kind = noise_first;
	seen = through_avml(&memory, &heard);
	CHECK_EQUAL(seen.memory, 20 << 20);
	CHECK(seen.blocks == 1 && seen.overlong == 0 && heard.others == 0);
}

static void avml_says_what_volatility_cannot_read(void)
{
	struct plan_range ranges[] = { { .start = 0x100, .size = 5 << 20, .is_stored = true } };
	struct memory memory = MEMORY(ranges, only_noise);
	struct heard heard;

	need_snappy();
	struct avml_seen seen = through_avml(&memory, &heard);
	CHECK_EQUAL(seen.memory, 5 << 20);
	CHECK(seen.overlong > 0 && seen.overlong == seen.blocks && heard.others == 1);
	CHECK_SAYS(heard.last, "volatility3");
}

/* --- all of them */

static const struct writer_format *const formats[] = { &elf_writer, &kdump_writer,
#ifdef HAVE_SNAPPY
						       &avml_writer
#endif
};

static void nothing_at_all(void)
{
	struct plan_range hole[] = { { .start = 0x1000, .size = 0x1000, .absent = PAGE_EXCLUDED } };
	struct memory memories[] = { { { NULL, 0, 0 }, mixed }, MEMORY(hole, mixed) };
	AUTO_SOURCE struct kioku_source *silent = silent_source();

	for (size_t i = 0; i < 4 * COUNT(formats); i++) {
		struct job job = { .format = formats[i / 4],
				   .source = silent,
				   .can_seek = i / 2 % 2 };
		written(&job, &memories[i % 2]);
		output_release(&job.output);
	}
}

static void writing_may_fail_anywhere(void)
{
	struct plan_range ranges[] = { odd_ranges[2], odd_ranges[4], odd_ranges[6] };
	struct memory memory = MEMORY(ranges, mixed);
	AUTO_SOURCE struct kioku_source *silent = silent_source();

	for (size_t i = 0; i < 2 * COUNT(formats); i++) {
		enum kioku_status status = KIOKU_ERROR_OS;
		for (uint64_t at = 1; status != KIOKU_OK; at++) {
			struct job job = { .format = formats[i / 2],
					   .source = silent,
					   .can_seek = i % 2,
					   .output.fail_at = at };
			status = write_image(&job, &memory, NULL);
			CHECK_EQUAL(status, job.output.calls < at ? KIOKU_OK : KIOKU_ERROR_OS);
			output_release(&job.output);
		}
	}
}

/* --- what is known of the machine */

/* The kernel's text is at physical 0x3010, its page tables at 0x5000. */
static const char vmcoreinfo[] = "OSRELEASE=6.1.0-test\n"
				 "SYMBOL(_stext)=ffffffff81000010\n"
				 "SYMBOL(swapper_pg_dir)=ffffffff81002000\n"
				 "NUMBER(phys_base)=-16764928\n";

/* An ELF core of 40 KiB, with the notes of one CPU and VMCOREINFO. */
static struct kioku_source *noted_source(void)
{
	uint8_t registers[440] = { [417] = 0x20, [136] = 0x40, [56] = 0x10 };
	uint8_t status[336] = { 0 }, image[64 * 1024] = { 0 };
	const struct elf_note notes[] = {
		{ { (const uint8_t *)"CORE", 4 }, { status, sizeof(status) }, NT_PRSTATUS },
		{ { (const uint8_t *)"QEMU", 4 }, { registers, sizeof(registers) }, 0 },
		{ { (const uint8_t *)"VMCOREINFO", 10 },
		  { (const uint8_t *)vmcoreinfo, sizeof(vmcoreinfo) - 1 },
		  0 },
	};
	struct elf_header header = { .type = ET_CORE,
				     .machine = EM_X86_64,
				     .segment_offset = ELF_HEADER_SIZE,
				     .segment_count = 2,
				     .segment_entry_size = ELF_SEGMENT_SIZE };
	struct elf_segment note = { .type = PT_NOTE, .offset = 0x1000 };
	struct elf_segment load = {
		.type = PT_LOAD, .offset = 0x2000, .filesz = 0xa000, .memsz = 0xa000
	};
	struct heard heard;

	for (size_t i = 0; i < COUNT(notes); i++) {
		elf_note_encode(&notes[i], image + note.offset + note.filesz);
		note.filesz += elf_note_size(&notes[i]);
	}
	elf_header_encode(&header, image);
	elf_segment_encode(&note, image + ELF_HEADER_SIZE);
	elf_segment_encode(&load, image + ELF_HEADER_SIZE + ELF_SEGMENT_SIZE);
	struct kioku_source *source = open_as("", image, sizeof(image), &heard);
	CHECK(source && heard.gaps == 0);
	return source;
}

/* What a CPU's QEMU note and the VMCOREINFO said is in the copy, and in the copy's copy. */
static void notes_are_passed_on(void)
{
	struct plan_range ranges[] = { { .start = 0, .size = 0xa000, .is_stored = true } };
	struct memory memory = MEMORY(ranges, mixed);
	struct kioku_source *source = noted_source();

	for (size_t i = 0; i < 4; i++) {
		const struct writer_format *order[] = { &elf_writer, &kdump_writer, &kdump_writer,
							&elf_writer };
		struct job job = { .format = order[i], .source = source, .can_seek = i == 2 };
		struct heard heard;
		size_t size;
		struct bytes copy = written(&job, &memory);
		struct kioku_source *next = open_as("", copy.data, copy.size, &heard);
		CHECK(next && heard.gaps == 0);
		kioku_source_close(source);
		source = next;
		const struct kioku_cpu *cpus = kioku_source_cpus(source, &size);
		CHECK(size == 1 && cpus->cr3 == 0x2000 && cpus->rip == 0x40 && cpus->rsp == 0x10);
		const char *text = kioku_source_vmcoreinfo(source, &size);
		CHECK(text && size == sizeof(vmcoreinfo) - 1 &&
		      memcmp(text, vmcoreinfo, size) == 0);
		output_release(&job.output);
	}
	kioku_source_close(source);
}

/* drgn looks for the page tables where the kernel has them; nothing may overlap for that. */
static void elf_maps_the_kernel_image(void)
{
	static const struct elf_segment expected[] = {
		{ .vaddr = 0x1000, .paddr = 0x1000, .filesz = 0x2000 },
		{ .vaddr = 0xffffffff81000000, .paddr = 0x3000, .filesz = 0x1800 },
		{ .vaddr = 0xffffffff81001c00, .paddr = 0x4c00, .filesz = 0x1400 },
		{ .vaddr = 0x6000, .paddr = 0x6000, .filesz = 0x4000 },
	};
	struct plan_range ranges[] = { { .start = 0x1000, .size = 0x3800, .is_stored = true },
				       { .start = 0x4c00, .size = 0x5400, .is_stored = true } };
	struct memory memory = MEMORY(ranges, mixed);
	AUTO_SOURCE struct kioku_source *noted = noted_source();
	struct job job = { .format = &elf_writer, .source = noted };
	struct elf_header header;
	struct elf_segment segment;
	struct heard heard;

	struct bytes image = written(&job, &memory), table;
	CHECK(!elf_header_decode(image, &header));
	CHECK_EQUAL(header.segment_count, 5);
	CHECK(bytes_slice(image, 64, 5 * ELF_SEGMENT_SIZE, &table));
	for (uint32_t i = 0; i < COUNT(expected); i++) {
		CHECK(elf_segment_decode(table, &header, i + 1, &segment));
		CHECK_EQUAL(segment.vaddr, expected[i].vaddr);
		CHECK_EQUAL(segment.paddr, expected[i].paddr);
		CHECK_EQUAL(segment.filesz, expected[i].filesz);
		CHECK_EQUAL(segment.memsz, expected[i].filesz);
	}
	AUTO_SOURCE struct kioku_source *source = open_as("", image.data, image.size, &heard);
	CHECK(source && heard.gaps == 0 && range_count(source) == 2);
	check_content(source, &memory);
	output_release(&job.output);
}

TAP_MAIN(TEST(elf_keeps_every_byte), TEST(elf_headers_are_where_others_look),
	 TEST(elf_counts_many_segments), TEST(kdump_keeps_every_byte),
	 TEST(kdump_flattened_is_the_same), TEST(kdump_shares_pages_of_zeros),
	 TEST(kdump_stores_what_does_not_compress), TEST(kdump_that_was_stopped),
	 TEST(kdump_bitmaps_have_holes), TEST(kdump_refuses_unknown_codecs),
	 TEST(avml_keeps_every_byte), TEST(avml_makes_up_for_noise),
	 TEST(avml_says_what_volatility_cannot_read), TEST(nothing_at_all),
	 TEST(writing_may_fail_anywhere), TEST(notes_are_passed_on),
	 TEST(elf_maps_the_kernel_image))
