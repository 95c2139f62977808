/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/growing.h"
#include "base/unpack.h"
#include "format/bzimage_format.h"
#include "format/elf_format.h"
#include "kernel/kernel_file.h"
#ifdef HAVE_LZ4
#include <lz4.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

enum {
	LIMIT = 1
		<< 29, /* bytes of what is loaded, or of a packed file; kernels have a tenth of it */
	SEGMENTS = 64, /* a kernel has five */
	LZ4_MAGIC_SIZE = 4,
	SIZE_BEHIND = 4, /* bytes behind what is packed: its size when unpacked */
};

/* --- unpacking: scripts/Makefile.lib, arch/x86/boot/compressed/Makefile */

static enum kioku_status unpack_zstd(struct bytes packed, uint8_t *out, size_t size)
{
#ifdef HAVE_ZSTD
	size_t frame = ZSTD_findFrameCompressedSize(packed.data, packed.size);

	if (ZSTD_isError(frame))
		return KIOKU_ERROR_CORRUPT;
	return ZSTD_decompress(out, size, packed.data, frame) == size ? KIOKU_OK
								      : KIOKU_ERROR_CORRUPT;
#else
	return KIOKU_ERROR_UNSUPPORTED;
#endif
}

/* The legacy frame of "lz4 -l": blocks with their packed sizes, each of 8 MiB but for the last. */
static enum kioku_status unpack_lz4(struct bytes packed, uint8_t *out, size_t size)
{
#ifdef HAVE_LZ4
	size_t done = 0, at = LZ4_MAGIC_SIZE;

	while (done < size) {
		struct bytes block;
		uint32_t length;
		if (!bytes_le32(packed, at, &length) ||
		    !bytes_slice(packed, at + sizeof(length), length, &block))
			return KIOKU_ERROR_CORRUPT;
		int got = LZ4_decompress_safe((const char *)block.data, (char *)out + done,
					      (int)block.size, (int)(size - done));
		if (got <= 0)
			return KIOKU_ERROR_CORRUPT;
		done += (size_t)got;
		at += sizeof(length) + length;
	}
	return KIOKU_OK;
#else
	return KIOKU_ERROR_UNSUPPORTED;
#endif
}

/* What writes into a buffer of the right size. */
static enum kioku_status unpack_into(struct bytes packed, uint8_t *out, size_t size)
{
	if (bytes_match(packed, 0, "\x28\xb5\x2f\xfd"))
		return unpack_zstd(packed, out, size);
	if (bytes_match(packed, 0, "\x02\x21\x4c\x18"))
		return unpack_lz4(packed, out, size);
	return KIOKU_ERROR_UNSUPPORTED;
}

static enum kioku_status unpack_kernel(struct bytes packed, struct kernel_file *out)
{
	size_t size = load_le32(packed.data + packed.size - SIZE_BEHIND);
	enum packer packer = unpack_packer(packed);

	if (size > LIMIT)
		return KIOKU_ERROR_LIMIT;
	out->size = size;
	if (packer != PACKER_NONE) {
		void *data = NULL;
		if (packer == PACKER_XZ) /* gzip ends with the size itself */
			packed.size -= SIZE_BEHIND;
		TRY(unpack_exactly(packed, size, &data));
		out->data = data;
		return KIOKU_OK;
	}
	out->data = malloc(size ? size : 1);
	return out->data ? unpack_into(packed, out->data, size) : KIOKU_ERROR_NO_MEMORY;
}

/* --- files */

static enum kioku_status read_at(int file, uint64_t offset, uint8_t *out, size_t size)
{
	for (size_t at = 0; at < size;) {
		ssize_t got = pread(file, out + at, size - at, (off_t)(offset + at));
		if (got < 0)
			return KIOKU_ERROR_OS;
		if (got == 0)
			return KIOKU_ERROR_CORRUPT;
		at += (size_t)got;
	}
	return KIOKU_OK;
}

static enum kioku_status load_packed(int file, const struct bzimage *image, struct kernel_file *out)
{
	AUTO_FREE uint8_t *packed = NULL;

	if (image->payload_size > LIMIT)
		return KIOKU_ERROR_LIMIT;
	packed = malloc(image->payload_size);
	if (!packed)
		return KIOKU_ERROR_NO_MEMORY;
	TRY(read_at(file, image->payload, packed, image->payload_size));
	return unpack_kernel((struct bytes){ packed, image->payload_size }, out);
}

/* An ELF file up to the end of what it loads: there may be a gigabyte of debug information behind it. */
static enum kioku_status load_plain(int file, const struct elf_header *header,
				    struct kernel_file *out)
{
	uint64_t end = header->segment_offset +
		       (uint64_t)header->segment_count * header->segment_entry_size;
	AUTO_FREE uint8_t *table = NULL;

	if (header->segment_offset > LIMIT || header->segment_count > SEGMENTS)
		return KIOKU_ERROR_LIMIT;
	table = malloc(end - header->segment_offset + 1);
	if (!table)
		return KIOKU_ERROR_NO_MEMORY;
	TRY(read_at(file, header->segment_offset, table, end - header->segment_offset));
	const struct bytes segments = { table, end - header->segment_offset };
	struct elf_segment segment;
	for (uint32_t i = 0; elf_segment_decode(segments, header, i, &segment); i++) {
		if (segment.offset > LIMIT || segment.filesz > LIMIT)
			return KIOKU_ERROR_LIMIT;
		if (segment.offset + segment.filesz > end)
			end = segment.offset + segment.filesz;
	}
	out->data = malloc(end);
	if (!out->data)
		return KIOKU_ERROR_NO_MEMORY;
	out->size = end;
	return read_at(file, 0, out->data, end);
}

static enum kioku_status find_parts(struct kernel_file *file)
{
	const struct bytes all = { file->data, file->size };
	struct elf_header header;
	struct elf_segment segment;
	struct bytes segments;

	if (elf_header_decode(all, &header))
		return KIOKU_ERROR_CORRUPT;
	if (!header.is_64 || header.big_endian || header.machine != EM_X86_64)
		return KIOKU_ERROR_UNSUPPORTED;
	if (!bytes_slice(all, header.segment_offset,
			 (uint64_t)header.segment_count * header.segment_entry_size, &segments))
		return KIOKU_ERROR_CORRUPT;
	for (uint32_t i = 0; elf_segment_decode(segments, &header, i, &segment); i++) {
		struct bytes bytes;
		if (!bytes_slice(all, segment.offset, segment.filesz, &bytes))
			return KIOKU_ERROR_CORRUPT;
		if (segment.type == PT_NOTE && file->build_id.size == 0)
			elf_build_id(bytes, &header, segment.align, &file->build_id);
		if (segment.type != PT_LOAD)
			continue;
		if (!GROW(file->parts, file->count, file->capacity))
			return KIOKU_ERROR_NO_MEMORY;
		file->parts[file->count++] = (struct kernel_file_part){ segment.vaddr, bytes };
	}
	return file->count ? KIOKU_OK : KIOKU_ERROR_CORRUPT;
}

static enum kioku_status load(int file, struct kernel_file *out)
{
	uint8_t head[BZIMAGE_HEAD_SIZE];
	const struct bytes start = { head, sizeof(head) };
	struct elf_header header;
	struct bzimage image;

	TRY(read_at(file, 0, head, sizeof(head)));
	if (bzimage_decode(start, &image))
		TRY(load_packed(file, &image, out));
	else if (!elf_is_magic(start))
		return KIOKU_ERROR_UNSUPPORTED;
	else if (elf_header_decode(start, &header))
		return KIOKU_ERROR_CORRUPT;
	else
		TRY(load_plain(file, &header, out));
	return find_parts(out);
}

enum kioku_status kernel_file_open(const char *path, struct kernel_file *out,
				   struct kioku_error *error)
{
	AUTO_CLOSE int file = open(path, O_RDONLY | O_CLOEXEC);

	*out = (struct kernel_file){ 0 };
	if (file < 0)
		return error_os(error, "cannot open %s", path);
	enum kioku_status status = load(file, out);
	switch (status) {
	case KIOKU_OK: return KIOKU_OK;
	case KIOKU_ERROR_OS: error_os(error, "cannot read %s", path); break;
	case KIOKU_ERROR_UNSUPPORTED:
		error_set(error, status,
			  "%s is no kernel for x86-64, or packed in a way that is not known here",
			  path);
		break;
	default:
		error_set(error, status, "%s cannot be read as a kernel: %s", path,
			  kioku_status_name(status));
	}
	kernel_file_close(out);
	return status;
}

enum kioku_status kernel_file_parse(struct bytes vmlinuz, struct kernel_file *out)
{
	enum kioku_status status = KIOKU_ERROR_UNSUPPORTED;
	struct bzimage image;
	struct bytes packed;

	*out = (struct kernel_file){ 0 };
	if (bzimage_decode(vmlinuz, &image))
		status = bytes_slice(vmlinuz, image.payload, image.payload_size, &packed)
				 ? unpack_kernel(packed, out)
				 : KIOKU_ERROR_CORRUPT;
	if (status == KIOKU_OK)
		status = find_parts(out);
	if (status != KIOKU_OK)
		kernel_file_close(out);
	return status;
}

void kernel_file_close(struct kernel_file *file)
{
	free(file->data);
	free(file->parts);
	*file = (struct kernel_file){ 0 };
}

const uint8_t *kernel_file_at(const struct kernel_file *file, uint64_t virtual, uint64_t size)
{
	for (size_t i = 0; i < file->count; i++) {
		const struct kernel_file_part *part = &file->parts[i];
		if (virtual >= part->virtual &&
		    bytes_has(part->bytes, virtual - part->virtual, size))
			return part->bytes.data + (virtual - part->virtual);
	}
	return NULL;
}
