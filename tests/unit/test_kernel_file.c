/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kernels' own files, as the System V gABI and Documentation/arch/x86/boot.rst say. */
#include <elf.h>
#include <zlib.h>
#ifdef HAVE_LZ4
#include <lz4.h>
#endif
#ifdef HAVE_LZMA
#include <lzma.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#include "base/cleanup.h"
#include "kernel/kernel_file.h"
#include "tap.h"

#define TEXT UINT64_C(0xffffffff81000000)

enum {
	ELF_SIZE = 0x400,
	TEXT_OFFSET = 0x200,
	TEXT_SIZE = 0x180,
	NOTE_OFFSET = 0x380,
	PAYLOAD = 1024 + 0x100, /* behind one sector of set-up and the boot sector */
	FILE_SIZE = 8192,
};

/* A vmlinux with 0x180 bytes of code and a build id of four bytes. */
static void make_vmlinux(uint8_t out[ELF_SIZE])
{
	Elf64_Ehdr header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB,
					   EV_CURRENT },
			      .e_type = ET_EXEC,
			      .e_machine = EM_X86_64,
			      .e_version = EV_CURRENT,
			      .e_phoff = sizeof(header),
			      .e_ehsize = sizeof(header),
			      .e_phentsize = sizeof(Elf64_Phdr),
			      .e_phnum = 2 };
	Elf64_Phdr segments[2] = { { .p_type = PT_LOAD,
				     .p_offset = TEXT_OFFSET,
				     .p_vaddr = TEXT,
				     .p_filesz = TEXT_SIZE,
				     .p_memsz = TEXT_SIZE },
				   { .p_type = PT_NOTE,
				     .p_offset = NOTE_OFFSET,
				     .p_filesz = 20,
				     .p_memsz = 20,
				     .p_align = 4 } };
	static const uint8_t note[] = "\4\0\0\0\4\0\0\0\3\0\0\0GNU\0\x11\x22\x33\x44";

	memset(out, 0, ELF_SIZE);
	memcpy(out, &header, sizeof(header));
	memcpy(out + sizeof(header), segments, sizeof(segments));
	for (size_t i = 0; i < TEXT_SIZE; i++)
		out[TEXT_OFFSET + i] = (uint8_t)(i * 7);
	memcpy(out + NOTE_OFFSET, note, 20);
}

/* What this build can unpack. */
enum packing {
	GZIP,
#ifdef HAVE_LZMA
	XZ,
#endif
#ifdef HAVE_ZSTD
	ZSTD,
#endif
#ifdef HAVE_LZ4
	LZ4,
#endif
	PACKINGS
};

static size_t pack(enum packing packing, const uint8_t *data, size_t size, uint8_t *out,
		   size_t room)
{
#ifdef HAVE_ZSTD
	if (packing == ZSTD)
		return ZSTD_compress(out, room, data, size, 3);
#endif
#ifdef HAVE_LZ4
	if (packing == LZ4) {
		/* Two blocks, of the halves. */
		const size_t half = size / 2;
		size_t length = 4;
		memcpy(out, "\x02\x21\x4c\x18", 4);
		for (size_t at = 0; at < size; at += half) {
			uint32_t block =
				(uint32_t)LZ4_compress_default((const char *)data + at,
							       (char *)out + length + 4, (int)half,
							       (int)(room - length - 4));
			memcpy(out + length, &block, 4);
			length += 4 + block;
		}
		return length;
	}
#endif
#ifdef HAVE_LZMA
	if (packing == XZ) {
		size_t length = 0;
		CHECK(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, NULL, data, size, out, &length,
					      room) == LZMA_OK);
		return length;
	}
#endif
	z_stream stream = { .next_in = (uint8_t *)data,
			    .avail_in = (uInt)size,
			    .next_out = out,
			    .avail_out = (uInt)room };
	CHECK(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
	deflateEnd(&stream);
	return room - stream.avail_out;
}

static size_t make_vmlinuz(enum packing packing, uint8_t out[FILE_SIZE])
{
	uint8_t vmlinux[ELF_SIZE];
	const uint32_t size = ELF_SIZE, offset = 0x100;

	memset(out, 0, FILE_SIZE);
	make_vmlinux(vmlinux);
	uint32_t packed = (uint32_t)pack(packing, vmlinux, sizeof(vmlinux), out + PAYLOAD,
					 FILE_SIZE - PAYLOAD - 4);
	memcpy(out + PAYLOAD + packed, &size, 4);
	packed += 4;
	out[0x1f1] = 1;
	memcpy(out + 0x202, "HdrS\x0f\x02", 6);
	memcpy(out + 0x248, &offset, 4);
	memcpy(out + 0x24c, &packed, 4);
	return PAYLOAD + packed;
}

static void write_file(char path[32], const uint8_t *data, size_t size)
{
	strcpy(path, "/tmp/kernel-file-XXXXXX");
	AUTO_CLOSE int file = mkstemp(path);
	CHECK(file >= 0 && write(file, data, size) == (ssize_t)size);
}

static enum kioku_status open_bytes(const uint8_t *data, size_t size, struct kernel_file *out)
{
	char path[32];

	write_file(path, data, size);
	enum kioku_status status = kernel_file_open(path, out, NULL);
	unlink(path);
	return status;
}

static void check_content(const struct kernel_file *file)
{
	CHECK_EQUAL(file->count, 1);
	CHECK_EQUAL(file->build_id.size, 4);
	CHECK_EQUAL(file->build_id.data[3], 0x44);
	const uint8_t *code = kernel_file_at(file, TEXT + 3, TEXT_SIZE - 3);
	CHECK(code && code[0] == 21);
	CHECK(!kernel_file_at(file, TEXT + 3, TEXT_SIZE - 2));
	CHECK(!kernel_file_at(file, TEXT - 1, 1));
	CHECK(!kernel_file_at(file, TEXT + 1, UINT64_MAX));
}

static void reads_plain(void)
{
	AUTO_KERNEL_FILE struct kernel_file file;
	uint8_t vmlinux[ELF_SIZE];

	make_vmlinux(vmlinux);
	CHECK_EQUAL(open_bytes(vmlinux, sizeof(vmlinux), &file), KIOKU_OK);
	check_content(&file);
}

static void reads_packed(void)
{
	uint8_t vmlinuz[FILE_SIZE];

	for (enum packing packing = GZIP; packing < PACKINGS; packing++) {
		AUTO_KERNEL_FILE struct kernel_file file;
		AUTO_KERNEL_FILE struct kernel_file parsed;
		size_t size = make_vmlinuz(packing, vmlinuz);
		CHECK_EQUAL(open_bytes(vmlinuz, size, &file), KIOKU_OK);
		check_content(&file);
		CHECK_EQUAL(kernel_file_parse((struct bytes){ vmlinuz, size }, &parsed), KIOKU_OK);
		check_content(&parsed);
	}
}

/* At every length, and with every byte of the headers wrong, it is refused or read within its bounds. */
static void survives_damage(void)
{
	struct kernel_file file;
	uint8_t vmlinuz[FILE_SIZE];

	for (enum packing packing = GZIP; packing < PACKINGS; packing++) {
		size_t size = make_vmlinuz(packing, vmlinuz);
		for (size_t cut = 0; cut < size; cut++)
			CHECK(kernel_file_parse((struct bytes){ vmlinuz, cut }, &file) != KIOKU_OK);
		for (size_t at = 0x1f0; at < size; at += at < 0x250 || at >= PAYLOAD ? 1 : 64) {
			vmlinuz[at] ^= 0xff;
			if (kernel_file_parse((struct bytes){ vmlinuz, size }, &file) == KIOKU_OK)
				kernel_file_close(&file);
			vmlinuz[at] ^= 0xff;
		}
	}
}

static void refuses_others(void)
{
	struct kernel_file file;
	uint8_t vmlinux[ELF_SIZE];

	make_vmlinux(vmlinux);
	vmlinux[offsetof(Elf64_Ehdr, e_machine)] = EM_386;
	CHECK_EQUAL(open_bytes(vmlinux, sizeof(vmlinux), &file), KIOKU_ERROR_UNSUPPORTED);
	make_vmlinux(vmlinux);
	CHECK_EQUAL(open_bytes(vmlinux, NOTE_OFFSET, &file), KIOKU_ERROR_CORRUPT);
	memset(vmlinux, 'x', sizeof(vmlinux));
	CHECK_EQUAL(open_bytes(vmlinux, sizeof(vmlinux), &file), KIOKU_ERROR_UNSUPPORTED);
	CHECK_EQUAL(open_bytes(vmlinux, 100, &file), KIOKU_ERROR_CORRUPT);
	CHECK_EQUAL(kernel_file_open("/nonexistent/vmlinux", &file, NULL), KIOKU_ERROR_OS);
}

TAP_MAIN(TEST(reads_plain), TEST(reads_packed), TEST(survives_damage), TEST(refuses_others))
