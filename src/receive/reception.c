/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "receive/reception.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"

enum {
	FOLDER_TRIES = 1000,
	HOST_IN_FOLDER = 64, /* characters of the host's name that the folder's has */
};

/* --- the folder */

/* Nothing that a shell or a terminal could take for more than a name. */
static void plain_host(const char *host, char out[HOST_IN_FOLDER + 1])
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	size_t size = 0;

	for (; host[size] && size < HOST_IN_FOLDER; size++)
		out[size] = strchr(allowed, host[size]) ? host[size] : '_';
	out[size] = '\0';
	if (out[0] == '.' || out[0] == '-')
		out[0] = '_';
	if (size == 0)
		strcpy(out, "unknown");
}

static enum kioku_status make_folder(struct reception *reception, struct kioku_error *error)
{
	struct session_record *record = &reception->record;
	time_t started = (time_t)record->started;
	char host[HOST_IN_FOLDER + 1], when[32];
	struct tm parts;

	plain_host(record->host, host);
	strftime(when, sizeof(when), "%Y%m%d-%H%M%S", gmtime_r(&started, &parts));
	for (unsigned i = 1; i <= FOLDER_TRIES; i++) {
		int size = snprintf(record->folder, FOLDER_SIZE, "%s_%s", host, when);
		if (i > 1)
			snprintf(record->folder + size, FOLDER_SIZE - (size_t)size, "-%u", i);
		if (mkdirat(reception->state->folder, record->folder, 0700) == 0)
			return KIOKU_OK;
		if (errno != EEXIST)
			break;
	}
	return error_os(error, "cannot make the folder %s", record->folder);
}

enum kioku_status reception_begin(struct reception *reception, struct kioku_error *error)
{
	TRY(make_folder(reception, error));
	enum kioku_status status =
		session_record_save(&reception->record, reception->state, &reception->note, error);
	if (status != KIOKU_OK)
		reception_discard(reception);
	return status;
}

void reception_discard(struct reception *reception)
{
	unlinkat(reception->state->folder, reception->record.folder, AT_REMOVEDIR);
}

/* --- opening and closing */

static enum kioku_status open_again(struct reception *reception, size_t number,
				    struct kioku_error *error)
{
	const char *name = reception->record.files[number].name;
	struct reception_file *file = &reception->files[number];
	struct stat status;

	int descriptor = openat(reception->folder, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (descriptor < 0 && errno == ENOENT)
		return KIOKU_OK; /* removed, perhaps, before we were killed; REMOVE comes again then */
	if (descriptor < 0)
		return error_os(error, "cannot open %s again", name);
	local_file_init(&file->local, descriptor, true);
	file->local.flushed = file->local.dropped = file->local.size;
	if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode))
		return error_set(error, KIOKU_ERROR_CORRUPT, "%s is no file any more", name);
	return KIOKU_OK;
}

enum kioku_status reception_attach(struct reception *reception, struct kioku_error *error)
{
	const struct session_record *record = &reception->record;

	if (record->note.stage != SESSION_RUNS)
		return KIOKU_OK;
	reception->folder = openat(reception->state->folder, record->folder,
				   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (reception->folder < 0)
		return error_os(error, "cannot open the folder %s", record->folder);
	for (size_t i = 0; i < TRANSFER_FILES; i++)
		if (record->files[i].stage == FILE_OPEN)
			TRY(open_again(reception, i, error));
	if (reception->note >= 0)
		return KIOKU_OK;
	return session_record_save(record, reception->state, &reception->note, error);
}

static void stop_digesting(struct reception_file *file)
{
	digest_release(&file->sha256);
	file->is_digesting = false;
}

void reception_detach(struct reception *reception)
{
	for (size_t i = 0; i < TRANSFER_FILES; i++)
		local_file_release(&reception->files[i].local);
	cleanup_close(&reception->folder);
	reception->folder = -1;
}

void reception_release(struct reception *reception)
{
	reception_detach(reception);
	for (size_t i = 0; i < TRANSFER_FILES; i++)
		stop_digesting(&reception->files[i]);
	cleanup_close(&reception->note);
	reception->note = -1;
}

/* --- messages */

/* What the handling of one message needs. */
struct applying {
	struct reception *reception;
	struct session_record *record;
	const struct transfer_message *message;
	size_t size;
	enum transfer_refusal refusal; /* for what fails from here on */
	struct kioku_error *error;
};

static enum kioku_status refuse(struct applying *applying, enum transfer_refusal refusal,
				const char *text)
{
	applying->refusal = refusal;
	return error_set(applying->error, KIOKU_ERROR_REFUSED, "%s", text);
}

/* Notes the whole record, with the message that was applied just now. */
static enum kioku_status save(struct applying *applying)
{
	struct session_record *record = applying->record;

	record->note.position += applying->size;
	enum kioku_status status = session_record_save(record, applying->reception->state,
						       &applying->reception->note, applying->error);
	if (status != KIOKU_OK)
		record->note.position -= applying->size;
	return status;
}

static bool has_name(const struct record_file *file, struct bytes name)
{
	return (file->stage == FILE_OPEN || file->stage == FILE_CLOSED) &&
	       strlen(file->name) == name.size && memcmp(file->name, name.data, name.size) == 0;
}

/* The number of the file of this name; TRANSFER_FILES if there is none. */
static size_t find_name(const struct session_record *record, struct bytes name)
{
	size_t i = 0;

	while (i < TRANSFER_FILES && !has_name(&record->files[i], name))
		i++;
	return i;
}

static enum kioku_status take_name(struct applying *applying, struct bytes name, char *out)
{
	if (!transfer_name_is_valid(name, applying->record->image))
		return refuse(applying, TRANSFER_REFUSED_NAME,
			      "a file's name is not the image's, or is not allowed");
	memcpy(out, name.data, name.size);
	out[name.size] = '\0';
	return KIOKU_OK;
}

/*
 * A file that is there and empty is what we made before we were killed; the folder is ours alone,
 * and nothing is written to a file before its number is noted down.
 */
static int create_file(int folder, const char *name)
{
	int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY;
	int descriptor = openat(folder, name, flags | O_CREAT | O_EXCL, 0600);
	struct stat status;

	if (descriptor >= 0 || errno != EEXIST)
		return descriptor;
	descriptor = openat(folder, name, flags | O_NONBLOCK);
	if (descriptor >= 0 && (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode) ||
				status.st_size != 0 || status.st_nlink != 1)) {
		cleanup_close(&descriptor);
		descriptor = -1;
	}
	errno = EEXIST;
	return descriptor;
}

static enum kioku_status apply_create(struct applying *applying)
{
	const struct transfer_message *message = applying->message;
	struct reception *reception = applying->reception;
	char name[TRANSFER_NAME_LIMIT + 1];

	if (message->file >= TRANSFER_FILES ||
	    applying->record->files[message->file].stage != FILE_UNUSED)
		return refuse(applying, TRANSFER_REFUSED_PROTOCOL,
			      "a file's number is too large, or was used before");
	TRY(take_name(applying, message->name, name));
	if (find_name(applying->record, message->name) < TRANSFER_FILES)
		return refuse(applying, TRANSFER_REFUSED_NAME, "two files have the same name");

	struct reception_file *file = &reception->files[message->file];
	int descriptor = create_file(reception->folder, name);
	if (descriptor < 0)
		return error_os(applying->error, "cannot create %s", name);
	local_file_init(&file->local, descriptor, true);
	file->digested = 0;
	/* If it turns out to be wanted after all, the file is read back. */
	file->is_digesting = !(message->flags & TRANSFER_UNDIGESTED) &&
			     digest_init(&file->sha256, KIOKU_DIGEST_SHA256, NULL) == KIOKU_OK;
	struct record_file *noted = &applying->record->files[message->file];
	*noted = (struct record_file){ .stage = FILE_OPEN };
	strcpy(noted->name, name);
	return save(applying);
}

/* The open file that a message is about, or NULL. */
static struct reception_file *open_file(struct applying *applying)
{
	uint32_t number = applying->message->file;

	if (number >= TRANSFER_FILES || applying->record->files[number].stage != FILE_OPEN) {
		refuse(applying, TRANSFER_REFUSED_PROTOCOL,
		       "a message is about a file that is not open");
		return NULL;
	}
	if (applying->reception->files[number].local.descriptor < 0) {
		refuse(applying, TRANSFER_REFUSED_STORAGE, "somebody has removed a file");
		return NULL;
	}
	return &applying->reception->files[number];
}

static enum kioku_status spend(struct applying *applying, uint64_t bytes)
{
	const struct reception *reception = applying->reception;
	uint64_t sum;

	if (__builtin_add_overflow(applying->record->note.received, bytes, &sum) ||
	    !reception->may_receive(reception->user, bytes))
		return refuse(applying, TRANSFER_REFUSED_QUOTA,
			      "the quota of this token is used up");
	applying->record->note.received = sum;
	return KIOKU_OK;
}

static enum kioku_status apply_write(struct applying *applying)
{
	const struct transfer_message *message = applying->message;
	struct reception_file *file = open_file(applying);
	size_t written;

	if (!file)
		return KIOKU_ERROR_REFUSED;
	const char *name = applying->record->files[message->file].name;
	TRY(spend(applying, message->data.size));
	TRY(local_file_write(&file->local, name, message->offset, message->data.data,
			     message->data.size, &written, applying->error));
	if (file->is_digesting && message->offset == file->digested &&
	    digest_add(&file->sha256, message->data.data, message->data.size))
		file->digested += message->data.size;
	else
		stop_digesting(file);
	applying->record->note.position += applying->size;
	return KIOKU_OK;
}

static enum kioku_status digest_hole(struct applying *applying, struct reception_file *file,
				     uint64_t size)
{
	const struct reception *reception = applying->reception;
	enum { STEP = 16 << 20 };

	while (size > 0 && file->is_digesting) {
		uint64_t part = size < STEP ? size : STEP;
		if (!digest_add_zeros(&file->sha256, part))
			stop_digesting(file);
		file->digested += part;
		size -= part;
		if (!reception->goes_on(reception->user)) {
			stop_digesting(file);
			return error_set(applying->error, KIOKU_ERROR_STOPPED, "stopped");
		}
	}
	return KIOKU_OK;
}

static enum kioku_status apply_hole(struct applying *applying)
{
	const struct transfer_message *message = applying->message;
	struct reception_file *file = open_file(applying);

	if (!file)
		return KIOKU_ERROR_REFUSED;
	const char *name = applying->record->files[message->file].name;
	uint64_t end = message->offset + message->size, before = file->local.size;
	TRY(spend(applying, message->size));
	TRY(local_file_hole(&file->local, name, message->offset, message->size, applying->error));
	if (end > before && before == file->digested)
		TRY(digest_hole(applying, file, end - before));
	applying->record->note.position += applying->size;
	return KIOKU_OK;
}

/* The digests of all of a file: those of the bytes as they came, else it is read back. */
static enum kioku_status digest_file(struct applying *applying, struct reception_file *file,
				     struct record_file *noted)
{
	const struct reception *reception = applying->reception;
	uint32_t flags = applying->message->flags;

	noted->answers = flags & TRANSFER_ANSWER;
	if (file->is_digesting && file->digested == file->local.size && !noted->answers) {
		uint8_t sha256[DIGEST_SIZE];
		noted->has_sha256 = digest_finish(&file->sha256, sha256);
		memcpy(noted->sha256, sha256, sizeof(noted->sha256));
	}
	if (noted->has_sha256 || !(flags & (TRANSFER_COMPARE | TRANSFER_ANSWER)))
		return KIOKU_OK;
	struct file_digests digests;
	TRY(local_file_digest(&file->local, noted->name, &digests, reception->goes_on,
			      reception->user, applying->error));
	memcpy(noted->md5, digests.md5, sizeof(noted->md5));
	memcpy(noted->sha256, digests.sha256, sizeof(noted->sha256));
	noted->has_sha256 = true;
	return KIOKU_OK;
}

static enum kioku_status check_file(struct applying *applying, struct reception_file *file,
				    struct record_file *noted)
{
	const struct transfer_message *message = applying->message;

	if (file->local.size != message->size) {
		applying->refusal = TRANSFER_REFUSED_DIGEST;
		return error_set(applying->error, KIOKU_ERROR_REFUSED,
				 "%s has %" PRIu64 " bytes here, and %" PRIu64 " where it was read",
				 noted->name, file->local.size, message->size);
	}
	TRY(digest_file(applying, file, noted));
	if (!(message->flags & TRANSFER_COMPARE) ||
	    memcmp(noted->sha256, message->sha256, sizeof(noted->sha256)) == 0)
		return KIOKU_OK;
	applying->refusal = TRANSFER_REFUSED_DIGEST;
	return error_set(applying->error, KIOKU_ERROR_REFUSED,
			 "the SHA-256 of %s is not that of the bytes that were read", noted->name);
}

static enum kioku_status apply_close(struct applying *applying)
{
	struct reception *reception = applying->reception;
	struct reception_file *file = open_file(applying);

	if (!file)
		return KIOKU_ERROR_REFUSED;
	struct record_file *noted = &applying->record->files[applying->message->file];
	struct record_file closed = *noted;
	TRY(check_file(applying, file, &closed));
	TRY(local_file_sync(&file->local, closed.name, reception->goes_on, reception->user,
			    applying->error));
	local_file_release(&file->local);
	stop_digesting(file);
	closed.stage = FILE_CLOSED;
	*noted = closed;
	return save(applying);
}

static bool exists(int folder, const char *name)
{
	struct stat status;

	return fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

static enum kioku_status apply_replace(struct applying *applying)
{
	struct session_record *record = applying->record;
	int folder = applying->reception->folder;
	char from[TRANSFER_NAME_LIMIT + 1], to[TRANSFER_NAME_LIMIT + 1];

	TRY(take_name(applying, applying->message->name, from));
	TRY(take_name(applying, applying->message->to, to));
	size_t source = find_name(record, applying->message->name);
	size_t target = find_name(record, applying->message->to);
	if (source == TRANSFER_FILES || record->files[source].stage != FILE_CLOSED ||
	    source == target ||
	    (target < TRANSFER_FILES && record->files[target].stage != FILE_CLOSED))
		return refuse(applying, TRANSFER_REFUSED_PROTOCOL,
			      "a file that is not finished cannot take another's place");
	/* Nothing but our own files is replaced. That from is gone means that we were killed. */
	bool is_done = !exists(folder, from) && exists(folder, to);
	if (!is_done && target == TRANSFER_FILES && exists(folder, to))
		return error_set(applying->error, KIOKU_ERROR_REFUSED, "%s exists already", to);
	if (!is_done && renameat(folder, from, folder, to) != 0)
		return error_os(applying->error, "cannot rename %s to %s", from, to);
	if (target < TRANSFER_FILES)
		record->files[target].stage = FILE_REMOVED;
	strcpy(record->files[source].name, to);
	return save(applying);
}

static enum kioku_status apply_remove(struct applying *applying)
{
	struct reception *reception = applying->reception;
	char name[TRANSFER_NAME_LIMIT + 1];

	TRY(take_name(applying, applying->message->name, name));
	size_t number = find_name(applying->record, applying->message->name);
	if (number < TRANSFER_FILES) {
		unlinkat(reception->folder, name, 0);
		local_file_release(&reception->files[number].local);
		stop_digesting(&reception->files[number]);
		applying->record->files[number].stage = FILE_REMOVED;
	}
	return save(applying);
}

/* A capture that failed leaves files as they are: nothing is known that they could be compared with. */
static enum kioku_status leave_file(struct applying *applying, size_t number, bool is_complete)
{
	struct reception *reception = applying->reception;
	struct reception_file *file = &reception->files[number];

	if (is_complete)
		return refuse(applying, TRANSFER_REFUSED_PROTOCOL,
			      "the end came before a file was closed");
	TRY(local_file_sync(&file->local, applying->record->files[number].name, reception->goes_on,
			    reception->user, applying->error));
	local_file_release(&file->local);
	stop_digesting(file);
	applying->record->files[number].stage = FILE_CLOSED;
	return KIOKU_OK;
}

static enum kioku_status apply_end(struct applying *applying)
{
	struct reception *reception = applying->reception;
	struct session_record *record = applying->record;

	bool is_complete = applying->message->flags & TRANSFER_COMPLETE;
	for (size_t i = 0; i < TRANSFER_FILES; i++)
		if (record->files[i].stage == FILE_OPEN)
			TRY(leave_file(applying, i, is_complete));
	if (fsync(reception->folder) != 0 || fsync(reception->state->folder) != 0)
		return error_os(applying->error, "cannot write the folder %s", record->folder);
	record->complete = is_complete;
	record->lost = applying->message->lost;
	record->note.stage = SESSION_DONE;
	record->note.seconds = difftime(time(NULL), (time_t)record->started);
	enum kioku_status status = save(applying);
	if (status != KIOKU_OK)
		record->note.stage = SESSION_RUNS;
	return status;
}

static enum kioku_status apply(struct applying *applying)
{
	if (applying->record->note.stage != SESSION_RUNS)
		return refuse(applying, TRANSFER_REFUSED_PROTOCOL, "a message came after the end");
	switch (applying->message->type) {
	case TRANSFER_CREATE: return apply_create(applying);
	case TRANSFER_WRITE: return apply_write(applying);
	case TRANSFER_HOLE: return apply_hole(applying);
	case TRANSFER_CLOSE: return apply_close(applying);
	case TRANSFER_REPLACE: return apply_replace(applying);
	case TRANSFER_REMOVE: return apply_remove(applying);
	case TRANSFER_END: return apply_end(applying);
	default: return refuse(applying, TRANSFER_REFUSED_PROTOCOL, "a message was not expected");
	}
}

enum kioku_status reception_apply(struct reception *reception,
				  const struct transfer_message *message, size_t size,
				  enum transfer_refusal *refusal, struct kioku_error *error)
{
	struct applying applying = {
		reception, &reception->record, message, size, TRANSFER_REFUSED_STORAGE, error,
	};
	enum kioku_status status = apply(&applying);

	*refusal = applying.refusal;
	return status;
}

enum kioku_status reception_note(struct reception *reception, struct kioku_error *error)
{
	reception->record.note.touched = (uint64_t)time(NULL);
	return session_record_note(&reception->record, reception->note, error);
}

void reception_fail(struct reception *reception, enum transfer_refusal refusal, const char *reason)
{
	struct session_note *note = &reception->record.note;

	note->stage = SESSION_FAILED;
	note->refusal = refusal;
	snprintf(note->reason, REASON_SIZE, "%s", reason);
	/* In place, so that it works on a full disk. */
	reception_note(reception, NULL);
	reception_detach(reception);
}
