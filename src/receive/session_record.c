/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "receive/session_record.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/digest.h"

#define PREFIX "session-"

static const char magic[16] = "kioku session 1";

enum { FILE_NAME_SIZE = sizeof(PREFIX) + SESSION_NAME_SIZE };

void session_name(const uint8_t session[TRANSFER_SESSION_SIZE], char out[SESSION_NAME_SIZE])
{
	digest_hex(session, TRANSFER_SESSION_SIZE, out);
}

static void file_name(const struct session_record *record, char out[FILE_NAME_SIZE])
{
	strcpy(out, PREFIX);
	session_name(record->session, out + strlen(PREFIX));
}

enum kioku_status session_record_save(const struct session_record *record,
				      const struct state_folder *state, int *descriptor,
				      struct kioku_error *error)
{
	struct session_record copy = *record;
	char name[FILE_NAME_SIZE];
	int fresh;

	memcpy(copy.magic, magic, sizeof(magic));
	file_name(record, name);
	TRY(state_write(state->state, name, &copy, sizeof(copy), false, &fresh, error));
	cleanup_close(descriptor);
	*descriptor = fresh;
	return KIOKU_OK;
}

enum kioku_status session_record_note(const struct session_record *record, int descriptor,
				      struct kioku_error *error)
{
	ssize_t size = pwrite(descriptor, &record->note, sizeof(record->note),
			      offsetof(struct session_record, note));

	return size == sizeof(record->note) ? KIOKU_OK
					    : error_os(error, "cannot note down the position");
}

/* Whether every text ends and every number is one that we write. */
static bool is_sound(const struct session_record *record)
{
	bool sound = memcmp(record->magic, magic, sizeof(magic)) == 0 &&
		     memchr(record->note.reason, 0, REASON_SIZE) &&
		     memchr(record->host, 0, HOST_SIZE) && memchr(record->folder, 0, FOLDER_SIZE) &&
		     memchr(record->image, 0, sizeof(record->image)) &&
		     record->note.stage <= SESSION_FAILED && record->folder[0] != '.' &&
		     record->folder[0] != '\0' && !strchr(record->folder, '/');

	for (size_t i = 0; i < TRANSFER_FILES; i++) {
		const struct record_file *file = &record->files[i];
		sound &= file->stage <= FILE_REMOVED && memchr(file->name, 0, sizeof(file->name)) &&
			 !strchr(file->name, '/');
	}
	return sound;
}

enum kioku_status session_record_load(struct session_record *record,
				      const struct state_folder *state, const char *name,
				      struct kioku_error *error)
{
	AUTO_FREE char *data = NULL;
	char expected[FILE_NAME_SIZE], own[FILE_NAME_SIZE];
	size_t size;

	snprintf(own, sizeof(own), PREFIX "%s", name);
	TRY(state_read(state->state, own, sizeof(*record), &data, &size, error));
	if (size == sizeof(*record))
		memcpy(record, data, size);
	if (size != sizeof(*record) || !is_sound(record))
		return error_set(error, KIOKU_ERROR_CORRUPT, STATE_FOLDER "/%s is damaged", own);
	file_name(record, expected);
	if (strcmp(expected, own) != 0)
		return error_set(error, KIOKU_ERROR_CORRUPT,
				 STATE_FOLDER "/%s belongs to another session", own);
	return KIOKU_OK;
}

void session_record_remove(const struct session_record *record, const struct state_folder *state)
{
	char name[FILE_NAME_SIZE];

	file_name(record, name);
	unlinkat(state->state, name, 0);
}

static void close_folder(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

enum kioku_status session_records_list(const struct state_folder *state,
				       enum kioku_status (*function)(void *user, const char *name,
								     struct kioku_error *error),
				       void *user, struct kioku_error *error)
{
	int again = openat(state->state, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(close_folder) DIR *folder = again < 0 ? NULL : fdopendir(again);

	if (!folder) {
		cleanup_close(&again);
		return error_os(error, "cannot list " STATE_FOLDER);
	}
	for (struct dirent *entry; (entry = readdir(folder));) {
		const char *name = entry->d_name + strlen(PREFIX);
		if (strlen(entry->d_name) + 1 == FILE_NAME_SIZE - 1 &&
		    strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0)
			TRY(function(user, name, error));
	}
	return KIOKU_OK;
}

const struct record_file *session_record_image(const struct session_record *record)
{
	for (size_t i = 0; i < TRANSFER_FILES; i++)
		if (record->files[i].stage == FILE_CLOSED &&
		    strcmp(record->files[i].name, record->image) == 0)
			return &record->files[i];
	return NULL;
}
