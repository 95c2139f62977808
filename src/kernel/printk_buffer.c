/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/printk.h"

struct head {
	uint64_t time;
	uint32_t caller;
	uint16_t size, text_size;
	uint8_t facility, level;
};

static const struct member head_members[] = {
	MEMBER(struct head, time, "ts_nsec"),       MEMBER(struct head, size, "len"),
	MEMBER(struct head, text_size, "text_len"), MEMBER(struct head, facility, "facility"),
	MEMBER(struct head, level, "level"),        OPTIONAL(struct head, caller, "caller_id"),
};
static const struct record head_record = RECORD(struct head, "printk_log", head_members);

static const uint32_t size_limit = UINT32_C(1) << 31; /* bytes; LOG_BUF_LEN_MAX */

struct buffer {
	struct kioku_kernel *kernel;
	const struct binding *binding;
	uint64_t head_size; /* of a record, before its text */
	uint64_t address;
	uint32_t size, first;
	uint64_t sequence, next_sequence;
	char text[UINT16_MAX];
	printk_fn *receive;
	void *user;
};

static enum kioku_status read_number(struct kioku_kernel *kernel, const char *name, void *out,
				     size_t size, struct kioku_error *error)
{
	uint64_t address = kernel_symbol(kernel, name);

	if (!address)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "this kernel has neither of the symbols prb and %s", name);
	/* Little-endian, as the machines that these kernels are read of. */
	return kernel_read(kernel, address, out, size, error);
}

static enum kioku_status find_buffer(struct buffer *buffer, struct kioku_error *error)
{
	struct kioku_kernel *kernel = buffer->kernel;
	uint8_t address[8], size[4], first[4], sequence[8], next[8];
	uint32_t id;

	TRY(read_number(kernel, "log_buf", address, sizeof(address), error));
	TRY(read_number(kernel, "log_buf_len", size, sizeof(size), error));
	TRY(read_number(kernel, "log_first_idx", first, sizeof(first), error));
	TRY(read_number(kernel, "log_first_seq", sequence, sizeof(sequence), error));
	TRY(read_number(kernel, "log_next_seq", next, sizeof(next), error));
	TRY(record_bind(kernel, &head_record, &buffer->binding, error));
	TRY(kioku_types_find(kernel->types, "struct printk_log", &id, error));
	buffer->head_size = kioku_type_size(kernel->types, id);
	buffer->address = load_le64(address);
	buffer->size = load_le32(size);
	buffer->first = load_le32(first);
	buffer->sequence = load_le64(sequence);
	buffer->next_sequence = load_le64(next);
	if (buffer->size > size_limit || buffer->first >= buffer->size ||
	    buffer->next_sequence < buffer->sequence)
		return error_set(error, KIOKU_ERROR_CORRUPT, "the log's buffer is damaged");
	return KIOKU_OK;
}

/* NULL, or what is wrong with the head at an index. */
static const char *read_head(const struct buffer *buffer, uint32_t index, struct head *out)
{
	enum kioku_status status = buffer->size - index < buffer->head_size
					   ? KIOKU_ERROR_CORRUPT
					   : record_read(buffer->kernel, buffer->binding,
							 buffer->address + index, out, NULL);

	if (status != KIOKU_OK)
		return kioku_status_name(status);
	if (out->size != 0 &&
	    (out->size < buffer->head_size + out->text_size || out->size > buffer->size - index))
		return "its size is impossible";
	return NULL;
}

static enum kioku_status give(struct buffer *buffer, uint32_t index, const struct head *head)
{
	struct printk_entry entry = {
		.sequence = buffer->sequence,
		.time = head->time,
		.facility = head->facility,
		.level = head->level,
		.has_caller = BINDING_HAS(buffer->binding, struct head, caller),
		.caller = head->caller,
		.text = buffer->text,
		.size = head->text_size,
	};
	enum kioku_status status =
		kernel_read(buffer->kernel, buffer->address + index + buffer->head_size,
			    buffer->text, head->text_size, NULL);

	if (status == KIOKU_OK)
		return buffer->receive(buffer->user, &entry);
	diagnose(&buffer->kernel->diagnostics, KIOKU_GAP, "log: record %llu: %s",
		 (unsigned long long)buffer->sequence, kioku_status_name(status));
	return KIOKU_OK;
}

static enum kioku_status walk_buffer(struct buffer *buffer)
{
	uint32_t index = buffer->first;
	uint64_t walked = 0; /* bytes, of which there cannot be more than the buffer has */
	struct head head;

	for (; buffer->sequence < buffer->next_sequence; buffer->sequence++) {
		const char *flaw = read_head(buffer, index, &head);
		/* One without a size: the next is at the start. */
		if (!flaw && head.size == 0)
			flaw = read_head(buffer, index = 0, &head);
		if (!flaw && head.size == 0)
			flaw = "it has no size";
		walked += head.size;
		if (!flaw && walked > buffer->size)
			flaw = "there is no room for it";
		if (flaw) {
			diagnose(&buffer->kernel->diagnostics, KIOKU_GAP,
				 "log: record %llu: %s; it is lost, and what comes after it",
				 (unsigned long long)buffer->sequence, flaw);
			return KIOKU_OK;
		}
		TRY(give(buffer, index, &head));
		index += head.size;
	}
	return KIOKU_OK;
}

enum kioku_status printk_each_in_buffer(struct kioku_kernel *kernel, printk_fn *receive, void *user,
					struct kioku_error *error)
{
	AUTO_FREE struct buffer *buffer = calloc(1, sizeof(*buffer));

	if (!buffer)
		return error_no_memory(error);
	buffer->kernel = kernel;
	buffer->receive = receive;
	buffer->user = user;
	TRY(find_buffer(buffer, error));
	return walk_buffer(buffer);
}
