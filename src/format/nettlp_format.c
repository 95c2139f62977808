/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/nettlp_format.h"

/* The first word: format and type, then 2 bits of flags, attributes, address type, length. */
#define TYPE_READ_3DW        0x00
#define TYPE_READ_4DW        0x20
#define TYPE_COMPLETION      0x0a
#define TYPE_COMPLETION_DATA 0x4a

#define FLAG_POISONED        0x4000u
#define FLAG_DIGEST          0x8000u /* a word more, behind the data */
#define LENGTH_MASK          0x03ffu /* words of 4 bytes; 0: 1024 */
#define COUNT_MASK           0x0fffu /* bytes; 0: 4096 */

#define FOUR_GIB             (1ull << 32)

static uint16_t load_be16(const uint8_t *data)
{
	return (uint16_t)(data[0] << 8 | data[1]);
}

static void store_be16(uint8_t *data, uint32_t value)
{
	data[0] = (uint8_t)(value >> 8);
	data[1] = (uint8_t)value;
}

static void store_be32(uint8_t *data, uint32_t value)
{
	store_be16(data, value >> 16);
	store_be16(data + 2, value & 0xffff);
}

void nettlp_header_encode(const struct nettlp_header *header, uint8_t out[NETTLP_HEADER_SIZE])
{
	store_be16(out, header->sequence);
	store_be32(out + 2, header->timestamp);
}

bool nettlp_header_decode(struct bytes datagram, struct nettlp_header *out, struct bytes *tlp)
{
	if (!bytes_slice(datagram, NETTLP_HEADER_SIZE, datagram.size - NETTLP_HEADER_SIZE, tlp))
		return false;
	out->sequence = load_be16(datagram.data);
	out->timestamp = load_be32(datagram.data + 2);
	return true;
}

/* --- requests */

/* Which bytes of the first and of the last word are asked for, one bit each (section 2.2.5). */
static uint8_t byte_enables(uint64_t address, uint32_t size)
{
	uint32_t first = 0xfu << (address & 3) & 0xf;
	uint32_t last = 0xfu >> (-(address + size) & 3);

	if ((address & 3) + size <= 4)
		return (uint8_t)(first & last);
	return (uint8_t)(last << 4 | first);
}

size_t tlp_read_encode(const struct tlp_read *read, uint8_t out[TLP_READ_SIZE_MAX])
{
	bool is_long = read->address >= FOUR_GIB;
	uint32_t words = (uint32_t)((read->address & 3) + read->size + 3) / 4;

	out[0] = is_long ? TYPE_READ_4DW : TYPE_READ_3DW;
	out[1] = 0;
	store_be16(out + 2, words & LENGTH_MASK);
	store_be16(out + 4, read->requester);
	out[6] = read->tag;
	out[7] = byte_enables(read->address, read->size);
	if (!is_long) {
		store_be32(out + 8, (uint32_t)read->address & ~3u);
		return 12;
	}
	store_be64(out + 8, read->address & ~3ull);
	return 16;
}

const char *tlp_read_decode(struct bytes tlp, struct tlp_read *out)
{
	if (tlp.size < 12)
		return "it is cut short";
	if (tlp.data[0] != TYPE_READ_3DW && tlp.data[0] != TYPE_READ_4DW)
		return "it is no memory read";
	if (tlp.data[0] == TYPE_READ_4DW && tlp.size < 16)
		return "it is cut short";

	uint32_t flags = load_be16(tlp.data + 2);
	uint32_t words = flags & LENGTH_MASK ? flags & LENGTH_MASK : LENGTH_MASK + 1;
	uint32_t first = tlp.data[7] & 0xf, last = tlp.data[7] >> 4;
	if (words > 1 && (first == 0 || last == 0))
		return "it is of several words and asks for nothing of the first or the last";
	if (words == 1 && last != 0)
		return "it is of one word and has byte enables for another";
	*out = (struct tlp_read){
		.requester = load_be16(tlp.data + 4),
		.tag = tlp.data[6],
		.address_type = (uint8_t)(flags >> 10 & 3),
		.address = tlp.data[0] == TYPE_READ_4DW ? load_be64(tlp.data + 8)
							: load_be32(tlp.data + 8),
	};
	out->address &= ~3ull;
	if (first == 0) /* nothing is asked for: such a read flushes what was written before */
		return NULL;
	uint32_t before = (uint32_t)__builtin_ctz(first);
	uint32_t after = (uint32_t)__builtin_clz(words > 1 ? last : first) - 28;
	out->address += before;
	out->size = 4 * words - before - after;
	return NULL;
}

/* --- completions */

size_t tlp_completion_encode(const struct tlp_completion *completion,
			     uint8_t out[TLP_COMPLETION_SIZE])
{
	size_t words = completion->data.size / 4;

	out[0] = words > 0 ? TYPE_COMPLETION_DATA : TYPE_COMPLETION;
	out[1] = 0;
	store_be16(out + 2,
		   (completion->is_poisoned ? FLAG_POISONED : 0) | (uint32_t)(words & LENGTH_MASK));
	store_be16(out + 4, completion->completer);
	store_be16(out + 6,
		   (uint32_t)completion->status << 13 | (completion->remaining & COUNT_MASK));
	store_be16(out + 8, completion->requester);
	out[10] = completion->tag;
	out[11] = completion->lower_address & 0x7f;
	return TLP_COMPLETION_SIZE;
}

const char *tlp_completion_decode(struct bytes tlp, struct tlp_completion *out)
{
	if (tlp.size < TLP_COMPLETION_SIZE)
		return "it is cut short";
	if (tlp.data[0] != TYPE_COMPLETION && tlp.data[0] != TYPE_COMPLETION_DATA)
		return "it is no completion";

	uint32_t flags = load_be16(tlp.data + 2), count = load_be16(tlp.data + 6);
	uint32_t words = flags & LENGTH_MASK ? flags & LENGTH_MASK : LENGTH_MASK + 1;
	*out = (struct tlp_completion){
		.completer = load_be16(tlp.data + 4),
		.requester = load_be16(tlp.data + 8),
		.tag = tlp.data[10],
		.status = (uint8_t)(count >> 13),
		.lower_address = tlp.data[11] & 0x7f,
		.is_poisoned = flags & FLAG_POISONED,
		.remaining = count & COUNT_MASK ? count & COUNT_MASK : COUNT_MASK + 1,
	};
	if (tlp.data[0] == TYPE_COMPLETION)
		return NULL;
	if (!bytes_slice(tlp, TLP_COMPLETION_SIZE, 4ull * words, &out->data))
		return "it has fewer data than it says";
	if (tlp.size != TLP_COMPLETION_SIZE + 4 * words + (flags & FLAG_DIGEST ? 4 : 0))
		return "it has more data than it says";
	return NULL;
}
