/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who tasks act as: struct cred, and the user that it leads to. */
#include "kernel/infer.h"

enum {
	CRED_ROOM = 256, /* bytes of each that are looked at */
	USER_ROOM = 256,
	FEW = 16,
};

/* Without symbols: two pointers to what the linker placed, for of all credentials only the first are so. */
static bool is_static_cred(const struct samples *tasks, size_t column, void *user)
{
	const struct inference *inference = user;
	uint64_t cred = sample_u64(tasks, 0, column);

	if (column + 16 > tasks->width || sample_u64(tasks, 0, column + 8) != cred ||
	    !image_contains(&inference->kernel->image, cred))
		return false;
	for (size_t row = 1; row < tasks->count; row++)
		if (!kernel_is_pointer(inference->kernel, sample_u64(tasks, row, column)))
			return false;
	return true;
}

static bool is_init_cred(const struct samples *tasks, size_t column, void *user)
{
	const uint64_t *symbol = user;

	return sample_u64(tasks, 0, column) == *symbol;
}

/*
 * uid, gid, suid, sgid, euid, egid, fsuid and fsgid, then securebits and five sets of capabilities have
 * followed each other in all kernels; the sets were pairs of words until v6.3, and are aligned since.
 */
enum { IDS = 8, SETS = 5, PERMITTED = 1, EFFECTIVE = 2, BOUNDING = 3, AMBIENT = 4 };

static uint64_t set_at(const struct samples *rows, size_t row, size_t column, size_t set)
{
	return load_le64(rows->data + row * rows->width + column + 8 * set);
}

/* The idle task's may do everything; nobody may more than that, nor what is not permitted to him. */
static bool are_sets(const struct samples *rows, size_t column, void *user)
{
	uint64_t all = set_at(rows, 0, column, PERMITTED);

	(void)user;
	if (column + 8 * SETS > rows->width || column < 4 * (IDS + 2))
		return false;
	if ((all & (all + 1)) != 0 || all < 0xffffffff ||
	    set_at(rows, 0, column, EFFECTIVE) != all || set_at(rows, 0, column, BOUNDING) != all ||
	    set_at(rows, 0, column, 0) != 0 || set_at(rows, 0, column, AMBIENT) != 0)
		return false;
	for (size_t row = 0; row < rows->count; row++) {
		uint64_t permitted = set_at(rows, row, column, PERMITTED);
		if (permitted & ~all || set_at(rows, row, column, EFFECTIVE) & ~permitted ||
		    set_at(rows, row, column, BOUNDING) & ~all ||
		    set_at(rows, row, column, AMBIENT) & ~permitted)
			return false;
	}
	return true;
}

/*
 * What is in front of the ids: only a number of references, 4 bytes (8 from v6.7 on, which went into stable kernels,
 * too), or with CONFIG_DEBUG_CREDENTIALS 20 (28).
 */
static bool may_precede_ids(size_t size)
{
	return size == 4 || size == 8 || size == 20 || size == 28;
}

/* Where the ids begin. Sets that are aligned to 8 bytes may leave 4 before them. */
static size_t first_id(size_t sets)
{
	const size_t unaligned = sets - 4 * (IDS + 1), aligned = unaligned - 4;

	if (may_precede_ids(unaligned))
		return unaligned;
	return may_precede_ids(aligned) ? aligned : NO_COLUMN;
}

struct user_search {
	const struct inference *inference;
	const struct samples *creds;
	size_t uid;
	uint64_t root_user; /* 0: there is no such symbol */
};

/* The idle task's was placed by the linker; all others that are root's have the same, and nobody else has. */
static bool is_user(const struct samples *rows, size_t column, void *user)
{
	const struct user_search *search = user;
	const struct kioku_kernel *kernel = search->inference->kernel;
	uint64_t root = sample_u64(rows, 0, column);

	if (search->root_user ? root != search->root_user : !image_contains(&kernel->image, root))
		return false;
	for (size_t row = 1; row < rows->count; row++) {
		uint64_t pointer = sample_u64(rows, row, column);
		if (!kernel_is_pointer(kernel, pointer) ||
		    (pointer == root) != (sample_u32(rows, row, search->uid) == 0))
			return false;
	}
	return true;
}

static bool is_user_id(const struct samples *users, size_t column, void *user)
{
	const struct user_search *search = user;
	bool any = false;

	for (size_t row = 0; row < users->count; row++) {
		uint32_t uid = sample_u32(search->creds, row, search->uid);
		if (sample_u32(users, row, column) != uid)
			return false;
		any |= uid != 0;
	}
	return any; /* zeros are everywhere */
}

/* The user's id once more in what the credentials lead to, where anybody is not root. */
static void find_user(struct inference *inference, const struct samples *creds, size_t uid)
{
	AUTO_SAMPLES struct samples users = { .width = USER_ROOM };
	struct user_search search = { inference, creds, uid,
				      kernel_symbol(inference->kernel, "root_user") };
	size_t columns[2], id;

	/* Since v5.14 (905ae01c4ae2a) ucounts are the user's, too, one member behind. */
	size_t count = samples_columns(creds, 8, is_user, &search, columns, 2);
	if (count != 1 && (count != 2 || columns[1] != columns[0] + 16))
		return;
	size_t pointer = columns[0];
	if (!infer_follow(inference, creds, creds->count, pointer, 0, &users))
		return;
	bool has_id = samples_only_column(&users, 4, is_user_id, &search, &id);
	if (!search.root_user && !has_id)
		return;
	infer_member(inference, "cred", "user", pointer, "void *",
		     "the idle task's is that of all that are root's");
	if (has_id)
		infer_member(inference, "user_struct", "uid", id, "unsigned int",
			     "the same as in all credentials of the user");
}

static void find_cred_members(struct inference *inference, const struct samples *rows)
{
	static const char *const ids[IDS] = { "uid",  "gid",  "suid",  "sgid",
					      "euid", "egid", "fsuid", "fsgid" };
	size_t sets;

	if (!samples_only_column(rows, 4, are_sets, NULL, &sets))
		return;
	size_t first = first_id(sets);
	if (first == NO_COLUMN)
		return;
	for (size_t i = 0; i < IDS; i++)
		infer_member(inference, "cred", ids[i], first + 4 * i, "unsigned int",
			     "declared before capabilities, of which the idle task has all");
	find_user(inference, rows, first);
}

/* Every task's, each once. */
static bool take_creds(struct inference *inference, size_t column, struct samples *rows)
{
	const struct samples *tasks = &inference->tasks;

	rows->count = 0;
	for (size_t row = 0; row < tasks->count; row++)
		if (!samples_add_once(inference->kernel, rows, sample_u64(tasks, row, column)))
			return false;
	return true;
}

/* real_cred and cred, which follows it; they differ only while a task acts for another. */
static bool find_cred_pointers(struct inference *inference, struct samples *rows, size_t *column)
{
	const struct samples *tasks = &inference->tasks;
	uint64_t init_cred = kernel_symbol(inference->kernel, "init_cred");
	size_t columns[FEW], sets, found = 0;

	if (init_cred)
		return samples_columns(tasks, 8, is_init_cred, &init_cred, columns, FEW) == 2 &&
		       columns[1] == columns[0] + 8 &&
		       take_creds(inference, *column = columns[0], rows);
	size_t count = samples_columns(tasks, 8, is_static_cred, inference, columns, FEW);
	for (size_t i = 0; i < count && i < FEW; i++) {
		if (!take_creds(inference, columns[i], rows) ||
		    !samples_only_column(rows, 4, are_sets, NULL, &sets))
			continue;
		*column = columns[i];
		found++;
	}
	return found == 1 && take_creds(inference, *column, rows);
}

void infer_credentials(struct inference *inference)
{
	AUTO_SAMPLES struct samples rows = { .width = CRED_ROOM };
	size_t column;

	if (!find_cred_pointers(inference, &rows, &column))
		return;
	infer_member(inference, "task_struct", "real_cred", column, "void *",
		     "credentials of the idle task, twice");
	infer_member(inference, "task_struct", "cred", column + 8, "void *",
		     "credentials of the idle task, twice");
	find_cred_members(inference, &rows);
}
