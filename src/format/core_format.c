/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/core_format.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "format/elf_format.h"

#define FILE_UNIT 4096u /* of offsets in NT_FILE, which says so itself */

/* Bytes that grow at their end. All zero is an empty one. */
struct buffer {
	uint8_t *data;
	size_t size, capacity;
	bool failed; /* no memory: what was put since is missing */
};

/* Room for size bytes at the end, zeroed; NULL: no memory. */
static uint8_t *grow(struct buffer *buffer, size_t size)
{
	if (buffer->failed)
		return NULL;
	if (size > buffer->capacity - buffer->size) {
		size_t capacity = 2 * buffer->capacity + size;
		uint8_t *data = realloc(buffer->data, capacity);
		if (!data) {
			buffer->failed = true;
			return NULL;
		}
		buffer->data = data;
		buffer->capacity = capacity;
	}
	uint8_t *out = buffer->data + buffer->size;
	memset(out, 0, size);
	buffer->size += size;
	return out;
}

static void put_bytes(struct buffer *buffer, const void *data, size_t size)
{
	uint8_t *out = grow(buffer, size);

	if (out && size > 0)
		memcpy(out, data, size);
}

static void put_u32(struct buffer *buffer, uint32_t value)
{
	uint8_t *out = grow(buffer, 4);

	if (out)
		store_le32(out, value);
}

static void put_u64(struct buffer *buffer, uint64_t value)
{
	uint8_t *out = grow(buffer, 8);

	if (out)
		store_le64(out, value);
}

/* Up to the alignment that a long has. */
static void put_padding(struct buffer *buffer)
{
	grow(buffer, -buffer->size % 8);
}

struct encoder {
	struct buffer notes, description; /* description: of the note that is being made */
};

static void put_note(struct encoder *encoder, const char *name, uint32_t type, struct bytes data)
{
	struct elf_note note = { { (const uint8_t *)name, strlen(name) }, data, type };
	uint8_t *out = grow(&encoder->notes, elf_note_size(&note));

	if (out)
		elf_note_encode(&note, out);
}

/* Makes a note of the description, which is empty afterwards. */
static void end_note(struct encoder *encoder, uint32_t type)
{
	struct buffer *description = &encoder->description;

	encoder->notes.failed |= description->failed;
	put_note(encoder, "CORE", type, (struct bytes){ description->data, description->size });
	description->size = 0;
}

static void put_time(struct buffer *out, const struct core_time *time)
{
	put_u64(out, (uint64_t)time->seconds);
	put_u64(out, (uint64_t)time->microseconds);
}

static void put_ids(struct buffer *out, int32_t pid, const struct core_process *process)
{
	put_u32(out, (uint32_t)pid);
	put_u32(out, (uint32_t)process->ppid);
	put_u32(out, (uint32_t)process->pgrp);
	put_u32(out, (uint32_t)process->sid);
}

/* struct elf_prstatus. */
static void put_prstatus(struct encoder *encoder, const struct core_process *process,
			 const struct core_thread *thread)
{
	static const struct core_time children = { 0, 0 };
	struct buffer *out = &encoder->description;

	put_u32(out, thread->cursig); /* pr_info.si_signo; si_code and si_errno follow */
	put_u64(out, 0);
	put_u32(out, thread->cursig); /* 16 bits and padding */
	put_u64(out, thread->pending);
	put_u64(out, thread->blocked);
	put_ids(out, thread->tid, process);
	put_time(out, &thread->user);
	put_time(out, &thread->system);
	put_time(out, &children);
	put_time(out, &children);
	put_bytes(out, thread->general.data, thread->general.size);
	put_u32(out, thread->floating.size > 0); /* pr_fpvalid */
	put_padding(out);
	end_note(encoder, NT_PRSTATUS);
}

/* Arguments one behind the other, with blanks between, and a NUL at the end, as the kernel does. */
static void put_arguments(struct buffer *out, struct bytes arguments)
{
	uint8_t *text = grow(out, CORE_ARGUMENTS_SIZE);
	size_t size = arguments.size;

	while (size > 0 && arguments.data[size - 1] == '\0')
		size--;
	if (size > CORE_ARGUMENTS_SIZE - 1)
		size = CORE_ARGUMENTS_SIZE - 1;
	for (size_t i = 0; text && i < size; i++)
		text[i] = arguments.data[i] ? arguments.data[i] : ' ';
}

/* struct elf_prpsinfo; fill_psinfo(). */
static void put_prpsinfo(struct encoder *encoder, const struct core_process *process)
{
	static const char letters[] = "RSDTZW";
	const char *letter = process->state ? strchr(letters, process->state) : NULL;
	size_t state = letter ? (size_t)(letter - letters) : sizeof(letters) - 1;
	const uint8_t head[] = { (uint8_t)state, (uint8_t)(letter ? *letter : '.'),
				 process->state == 'Z', (uint8_t)process->nice };
	struct buffer *out = &encoder->description;

	put_bytes(out, head, sizeof(head));
	put_padding(out);
	put_u64(out, process->flags);
	put_u32(out, process->uid);
	put_u32(out, process->gid);
	put_ids(out, process->pid, process);
	put_bytes(out, process->name, sizeof(process->name));
	put_arguments(out, process->arguments);
	end_note(encoder, NT_PRPSINFO);
}

/* fill_files_note(). */
static void put_files(struct encoder *encoder, const struct core_process *process)
{
	struct buffer *out = &encoder->description;

	put_u64(out, process->file_count);
	put_u64(out, FILE_UNIT);
	for (size_t i = 0; i < process->file_count; i++) {
		const struct core_file *file = &process->files[i];
		put_u64(out, file->start);
		put_u64(out, file->end);
		put_u64(out, file->offset / FILE_UNIT);
	}
	for (size_t i = 0; i < process->file_count; i++) {
		put_bytes(out, process->files[i].name.data, process->files[i].name.size);
		grow(out, 1);
	}
	end_note(encoder, NT_FILE);
}

static void put_known(struct encoder *encoder, const char *name, uint32_t type, struct bytes data)
{
	if (data.size > 0)
		put_note(encoder, name, type, data);
}

static void put_regsets(struct encoder *encoder, const struct core_thread *thread)
{
	put_known(encoder, "CORE", NT_PRFPREG, thread->floating);
	put_known(encoder, "LINUX", NT_X86_XSTATE, thread->xstate);
	for (size_t i = 0; i < thread->regset_count; i++)
		put_known(encoder, "LINUX", thread->regsets[i].type, thread->regsets[i].data);
}

/* What belongs to the process stands among the notes of its first thread. */
uint8_t *core_notes_encode(const struct core_process *process, size_t *size)
{
	struct encoder encoder = { 0 };

	for (size_t i = 0; i < process->thread_count; i++) {
		const struct core_thread *thread = &process->threads[i];
		put_prstatus(&encoder, process, thread);
		if (i == 0)
			put_prpsinfo(&encoder, process);
		put_known(&encoder, "CORE", NT_SIGINFO, thread->siginfo);
		if (i == 0) {
			put_known(&encoder, "CORE", NT_AUXV, process->auxv);
			put_files(&encoder, process);
		}
		put_regsets(&encoder, thread);
	}
	free(encoder.description.data);
	if (encoder.notes.failed)
		free(TAKE(encoder.notes.data));
	*size = encoder.notes.size;
	return encoder.notes.data;
}
