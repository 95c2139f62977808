/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames and their tables byte by byte, as RFC 8878, RFC 1952 and lz4_Frame_format.md have them. */
#include "format/avml_format.h"
#include "format/frame_format.h"
#include "source/frame_codec.h"
#include "source/source.h"
#include "test_image.h"

static struct bytes bytes_of(const struct image *image)
{
	return (struct bytes){ image->data, image->size };
}

/* "hello" as one stored block, its size known, without a checksum. */
static void put_zstd(struct image *image)
{
	put_bytes(image, "\x28\xb5\x2f\xfd\x20\x05\x29\0\0hello", 14);
}

/* "hello" likewise, with the size of the content and a checksum of it. */
static void put_lz4(struct image *image)
{
	put_bytes(image, "\x04\x22\x4d\x18\x6c\x50\5\0\0\0\0\0\0\0\x2a\5\0\0\x80hello\0\0\0\0", 28);
	put(image, 4, 0xfb0077f9);
}

static void measures_zstd(void)
{
	struct image image = { 0 };
	struct frame_shape shape;
	enum frame_codec codec;

	put_bytes(&image, "\x53\x2a\x4d\x18\3\0\0\0abc", 11); /* to be skipped */
	put_zstd(&image);
	put_bytes(&image, "\x28\xb5\x2f\xfd\x44\x58\x2c\1\x03\1\0z\1\2\3\4", 16); /* 556 times z */
	put_bytes(&image, "\x28\xb5\x2f\xfd\0\x58\1\0\0", 9);
	CHECK(frame_codec_detect(bytes_of(&image), &codec) && codec == FRAME_ZSTD);
	CHECK(!frame_measure(codec, bytes_of(&image), 0, &shape));
	CHECK(shape.packed_size == 11 && shape.content_size == 0);
	CHECK(!frame_measure(codec, bytes_of(&image), 11, &shape));
	CHECK(shape.packed_size == 14 && shape.content_size == 5);
	CHECK(!frame_measure(codec, bytes_of(&image), 25, &shape));
	CHECK(shape.packed_size == 16 && shape.content_size == 300 + 256);
	CHECK(!frame_measure(codec, bytes_of(&image), 41, &shape));
	CHECK(shape.packed_size == 9 && shape.content_size == FRAME_SIZE_UNKNOWN);
	image.size--;
	CHECK_SAYS(frame_measure(codec, bytes_of(&image), 41, &shape), "cut short");
	CHECK_SAYS(frame_measure(codec, bytes_of(&image), 12, &shape), "does not start");
	CHECK_SAYS(frame_measure(codec, bytes_of(&image), image.size, &shape), "cut short");
}

static void measures_lz4(void)
{
	struct image image = { 0 };
	struct frame_shape shape;
	enum frame_codec codec;

	put_lz4(&image);
	put_bytes(&image, "\x04\x22\x4d\x18\x50\x40\0\2\0\0\0ab1234\0\0\0\0", 21);
	CHECK(frame_codec_detect(bytes_of(&image), &codec) && codec == FRAME_LZ4);
	CHECK(!frame_measure(codec, bytes_of(&image), 0, &shape));
	CHECK(shape.packed_size == 32 && shape.content_size == 5);
	CHECK(!frame_measure(codec, bytes_of(&image), 32, &shape));
	CHECK(shape.packed_size == 21 && shape.content_size == FRAME_SIZE_UNKNOWN);
	image.data[4] = 0x2c;
	CHECK_SAYS(frame_measure(codec, bytes_of(&image), 0, &shape), "unknown version");
}

static void measures_gzip(void)
{
	struct image image = { 0 };
	uint8_t head[GZIP_HEAD_SIZE], end[GZIP_END_SIZE], out[8];
	struct frame_shape shape;
	struct frame_sizes sizes;
	enum frame_codec codec;

	gzip_encode_head(GZIP_HEAD_SIZE + 20, 1000, head);
	put_bytes(&image, head, sizeof(head));
	put_fill(&image, 0, 20);
	gzip_encode_end(end);
	put_bytes(&image, end, sizeof(end));
	put_bytes(&image, "\x1f\x8b\x08\0\0\0\0\0\0\3", 10);
	CHECK(frame_codec_detect(bytes_of(&image), &codec) && codec == FRAME_GZIP);
	CHECK(!frame_measure(codec, bytes_of(&image), 0, &shape));
	CHECK(shape.packed_size == GZIP_HEAD_SIZE + 20 && shape.content_size == 1000);
	CHECK(!frame_measure(codec, bytes_of(&image), 44, &shape));
	CHECK(shape.packed_size == GZIP_END_SIZE && shape.content_size == 0);
	CHECK(!frame_measure(codec, bytes_of(&image), 44 + GZIP_END_SIZE, &shape));
	CHECK(shape.packed_size == FRAME_SIZE_UNKNOWN && shape.content_size == FRAME_SIZE_UNKNOWN);
	CHECK_SAYS(frame_measure(codec, bytes_of(&image), 1, &shape), "does not start");
	/* zlib agrees that the end mark is a member without content. */
	CHECK_EQUAL(frame_unpack(FRAME_GZIP, (struct bytes){ end, sizeof(end) }, out, sizeof(out),
				 &sizes),
		    FRAME_UNPACKED);
	CHECK(sizes.packed == sizeof(end) && sizes.content == 0);
}

static void finds_by_the_table(void)
{
	struct image image = { 0 };
	struct frame_index index = { 0 };
	uint8_t head[SEEK_TABLE_HEAD_SIZE], entry[SEEK_TABLE_ENTRY_SIZE],
		footer[SEEK_TABLE_FOOTER_SIZE];

	put_zstd(&image);
	put_bytes(&image, "\x53\x2a\x4d\x18\3\0\0\0abc", 11);
	put_zstd(&image);
	seek_table_encode_head(3, head);
	put_bytes(&image, head, sizeof(head));
	for (int i = 0; i < 3; i++) {
		seek_table_encode_entry(i == 1 ? 11 : 14, i == 1 ? 0 : 5, entry);
		put_bytes(&image, entry, sizeof(entry));
	}
	seek_table_encode_footer(3, footer);
	put_bytes(&image, footer, sizeof(footer));
	CHECK_EQUAL(seek_table_decode(bytes_of(&image), &index, NULL), KIOKU_OK);
	CHECK(index.count == 2 && index.size == 10);
	CHECK(frame_index_find(&index, 4) == &index.frames[0]);
	CHECK(frame_index_find(&index, 5) == &index.frames[1]);
	CHECK(!frame_index_find(&index, 10));
	CHECK_EQUAL(index.frames[1].offset, 25);
	frame_index_release(&index);

	for (size_t size = 0; size < image.size; size++)
		CHECK_EQUAL(seek_table_decode((struct bytes){ image.data, size }, &index, NULL),
			    KIOKU_ERROR_NOT_FOUND);
	image.data[image.size - sizeof(footer) - 7] ^= 1; /* the last entry: one byte more */
	image.data[image.size - sizeof(footer) - 8] ^= 1;
	CHECK_EQUAL(seek_table_decode(bytes_of(&image), &index, NULL), KIOKU_ERROR_NOT_FOUND);
	CHECK(index.count == 0 && !index.frames);
}

static void refuses_large_frames(void)
{
	struct frame_index index = { 0 };

	CHECK_EQUAL(frame_index_add(&index, 0, 10, FRAME_CONTENT_LIMIT, NULL), KIOKU_OK);
	CHECK_EQUAL(frame_index_add(&index, 10, 10, 0, NULL), KIOKU_OK);
	CHECK_EQUAL(frame_index_add(&index, 20, 10, FRAME_CONTENT_LIMIT + 1, NULL),
		    KIOKU_ERROR_LIMIT);
	CHECK_EQUAL(index.count, 1);
	frame_index_release(&index);
}

/* The vectors of RFC 3720 appendix B.4 and the well-known one of nine digits, masked. */
static void knows_checksums(void)
{
	uint8_t zeros[32] = { 0 }, counting[32];

	for (unsigned i = 0; i < sizeof(counting); i++)
		counting[i] = (uint8_t)i;
#define MASKED(crc) ((((crc) >> 15 | (uint32_t)(crc) << 17) + 0xa282ead8u) & UINT32_MAX)
	CHECK_EQUAL(snappy_checksum(zeros, sizeof(zeros)), MASKED(0x8a9136aau));
	CHECK_EQUAL(snappy_checksum(counting, sizeof(counting)), MASKED(0x46dd794eu));
	CHECK_EQUAL(snappy_checksum("123456789", 9), MASKED(0xe3069283u));
	CHECK_EQUAL(snappy_checksum("", 0), MASKED(0u));
}

static void reads_avml_blocks(void)
{
	struct avml_header header = { 0x1000, 0x1fff }, other;
	struct snappy_chunk chunk = { SNAPPY_STORED, 5, 0x11223344 }, back;
	uint8_t raw[AVML_HEADER_SIZE], head[SNAPPY_CHUNK_HEAD_SIZE], trailer[AVML_TRAILER_SIZE];
	uint32_t size;

	avml_header_encode(&header, raw);
	CHECK(memcmp(raw, "AVML\2\0\0\0\0\x10\0\0\0\0\0\0\xff\x1f", 18) == 0);
	CHECK(!avml_header_decode((struct bytes){ raw, sizeof(raw) }, &other));
	CHECK(other.start == header.start && other.last == header.last);
	raw[31] = 1;
	CHECK_SAYS(avml_header_decode((struct bytes){ raw, sizeof(raw) }, &other), "reserved");

	snappy_chunk_encode(&chunk, head);
	CHECK(memcmp(head, "\1\x09\0\0\x44\x33\x22\x11", 8) == 0);
	CHECK(!snappy_chunk_decode((struct bytes){ head, sizeof(head) }, &back));
	CHECK(back.kind == chunk.kind && back.size == 5 && back.checksum == chunk.checksum);
	CHECK_SAYS(snappy_chunk_decode((struct bytes){ head, 7 }, &back), "cut short");
	head[0] = 0x7f;
	CHECK_SAYS(snappy_chunk_decode((struct bytes){ head, 8 }, &back), "unknown type");
	head[0] = 0xfe;
	CHECK(!snappy_chunk_decode((struct bytes){ head, 4 }, &back));
	CHECK(back.kind == SNAPPY_SKIPPED && back.size == 9);
	avml_trailer_encode(0x1122334455667788, trailer);
	CHECK_EQUAL(avml_trailer_decode(trailer), 0x1122334455667788);

	CHECK(snappy_content_size((struct bytes){ (const uint8_t *)"\x80\x80\4", 3 }, &size));
	CHECK_EQUAL(size, 65536);
	CHECK(!snappy_content_size((struct bytes){ (const uint8_t *)"\x81\x80\4", 3 }, &size));
	CHECK(!snappy_content_size((struct bytes){ (const uint8_t *)"\x80\x80", 2 }, &size));
}

/* One byte of an image is had by unpacking one frame of it. */
static void unpacks_one_frame(void)
{
	uint8_t entry[SEEK_TABLE_ENTRY_SIZE], head[SEEK_TABLE_HEAD_SIZE],
		footer[SEEK_TABLE_FOOTER_SIZE];
	struct image image = { 0 };
	struct heard heard;
	enum { COUNT = 4, CONTENT = 12288 };

	if (!frame_codec_is_here(FRAME_ZSTD))
		SKIP("without zstd");
	for (int i = 0; i < COUNT; i++) { /* a stored block each */
		put_bytes(&image, "\x28\xb5\x2f\xfd\x60", 5);
		put(&image, 2, CONTENT - 256);
		put(&image, 3, CONTENT << 3 | 1);
		image.data[image.size++] = (uint8_t)('a' + i);
		put_fill(&image, (uint8_t)('a' + i), CONTENT - 1);
	}
	CHECK_EQUAL(image.size, COUNT * (10 + CONTENT));
	seek_table_encode_head(COUNT, head);
	put_bytes(&image, head, sizeof(head));
	for (int i = 0; i < COUNT; i++) {
		seek_table_encode_entry(10 + CONTENT, CONTENT, entry);
		put_bytes(&image, entry, sizeof(entry));
	}
	seek_table_encode_footer(COUNT, footer);
	put_bytes(&image, footer, sizeof(footer));
	AUTO_SOURCE struct kioku_source *source = open_as("raw:", image.data, image.size, &heard);
	CHECK(source && heard.gaps + heard.others == 0);
	CHECK_EQUAL(source_end(source), COUNT * CONTENT);
	uint64_t before = kioku_source_stats(source).bytes;
	CHECK(before <= 2 * 4096);
	CHECK_EQUAL(byte_at(source, 2 * CONTENT + 5), 'c');
	CHECK_EQUAL(byte_at(source, 3 * CONTENT - 1), 'c');
	CHECK(kioku_source_stats(source).bytes - before <= 5 * 4096);
	CHECK_EQUAL(byte_at(source, 0), 'a');
	CHECK_EQUAL(byte_at(source, COUNT * CONTENT - 1), 'd');
	struct bytes run;
	CHECK(!source_map(source, 0, 16, &run));
}

TAP_MAIN(TEST(measures_zstd), TEST(measures_lz4), TEST(measures_gzip), TEST(finds_by_the_table),
	 TEST(refuses_large_frames), TEST(knows_checksums), TEST(reads_avml_blocks),
	 TEST(unpacks_one_frame))
