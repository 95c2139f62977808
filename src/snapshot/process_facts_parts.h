/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the writers of parts of process_facts() share. */
#ifndef SNAPSHOT_PROCESS_FACTS_PARTS_H
#define SNAPSHOT_PROCESS_FACTS_PARTS_H

#include "base/arena.h"
#include "format/json_writer.h"
#include "snapshot/process.h"

struct facts_gap {
	struct facts_gap *next;
	const char *what, *reason;
};

struct facts {
	struct process *process;
	struct json_writer json;
	struct file_text text; /* of the file that was read last */
	struct arena arena;
	struct facts_gap *gaps, **last_gap;
};

/* Notes that something could not be read, and why. */
void facts_gap(struct facts *facts, const char *what, const char *reason);
void facts_gap_error(struct facts *facts, const char *what, const struct kioku_error *error);

/* A file of a live thread, into facts->text; false where it cannot be read, which is noted down. */
bool facts_read(struct facts *facts, const char *name);

/* The same where a kernel may lack the file: that it is not there is no gap. */
bool facts_read_optional(struct facts *facts, const char *name);

/* Where a link leads, as a text. */
void facts_put_link(struct facts *facts, const char *key, const char *name);

/* "open_files" and "sockets". */
void facts_put_descriptors(struct facts *facts);

/* "threads" */
void facts_put_threads(struct facts *facts);

#endif
