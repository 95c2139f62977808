/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of files: through mounts, made up by the kernel, and of dentries that lie. */
#include "kernel/path.h"
#include "test_kernel.h"

#define SUPER      (MADE_BASE + 0x100000)
#define UNDER      (MADE_BASE + 0x100400) /* the super block of what is mounted on it */
#define MOUNTS     (MADE_BASE + 0x101000)
#define DENTRIES   (MADE_BASE + 0x110000)
#define OPERATIONS (MADE_BASE + 0x102000)
#define INODE      (MADE_BASE + 0x103000)
#define NAMESPACE  (MADE_BASE + 0x104000)
#define BUFFER     (MADE_BASE + 0x105000)
#define TEXT       (MADE_BASE + 0x600000)
#define FUNCTION   (MADE_BASE + 0x7ff000)

static const char layout[] =
	"struct qstr 16 len u32@4 name u64@8\n"
	"struct hlist_bl_node 16 next u64@0 pprev u64@8\n"
	"struct dentry 192 d_hash hlist_bl_node@8 d_parent u64@24 d_name qstr@32 d_inode u64@48 "
	"d_iname char[32]@56 d_op u64@96 d_sb u64@104 d_fsdata u64@120\n"
	"struct vfsmount 32 mnt_root u64@0 mnt_sb u64@8 mnt_flags s32@16\n"
	"struct mount 320 mnt_parent u64@16 mnt_mountpoint u64@24 mnt vfsmount@32 mnt_devname "
	"u64@184 mnt_ns u64@224 mnt_id s32@280\n"
	"struct super_block 512 s_root u64@104 s_magic u64@96\n"
	"struct dentry_operations 128 d_dname u64@72\n"
	"struct inode 600 i_ino u64@64 i_private u64@592\n"
	"struct ns_common 24 ops u64@8 inum u32@16\n"
	"struct proc_ns_operations 64 name u64@0\n"
	"struct dma_buf 256 name u64@96\n";

static uint64_t dentry(unsigned i)
{
	return DENTRIES + 0x100 * i;
}

static void put_dentry(struct made *made, unsigned i, unsigned parent, const char *name,
		       uint64_t super)
{
	uint64_t at = dentry(i), text = at + 56;
	size_t size = strlen(name);

	if (size >= 32)
		text = TEXT + 0x400 * i;
	made_text(made, text, name);
	made_set(made, at, "dentry", "d_parent", dentry(parent));
	made_set(made, at, "dentry", "d_name.name", text);
	made_set(made, at, "dentry", "d_name.len", size);
	made_set(made, at, "dentry", "d_sb", super);
	made_set(made, at, "dentry", "d_hash.pprev", MADE_BASE + 8);
	made_set(made, at, "dentry", "d_inode", INODE);
}

static void put_mount(struct made *made, unsigned i, unsigned parent, unsigned root,
		      unsigned mountpoint, uint64_t super)
{
	uint64_t at = MOUNTS + 0x200 * i;

	made_set(made, at, "mount", "mnt_parent", MOUNTS + 0x200 * parent);
	made_set(made, at, "mount", "mnt_mountpoint", dentry(mountpoint));
	made_set(made, at, "mount", "mnt.mnt_root", dentry(root));
	made_set(made, at, "mount", "mnt.mnt_sb", super);
	made_set(made, at, "mount", "mnt_ns", MADE_BASE + 0x1000);
}

static const char long_name[] = "a name of more than thirty-one bytes, which lies elsewhere";

/* /usr/LONG/file of one file system, and on /usr another one, with /deep/er. */
static void make_paths(struct made *made)
{
	made_open(made, layout);
	made_set(made, SUPER, "super_block", "s_root", dentry(0));
	made_set(made, UNDER, "super_block", "s_root", dentry(5));
	put_dentry(made, 0, 0, "/", SUPER);
	put_dentry(made, 1, 0, "usr", SUPER);
	put_dentry(made, 2, 1, long_name, SUPER);
	put_dentry(made, 3, 2, "file", SUPER);
	put_dentry(made, 5, 5, "/", UNDER);
	put_dentry(made, 6, 5, "deep", UNDER);
	put_dentry(made, 7, 6, "er", UNDER);
	put_mount(made, 0, 0, 0, 0, SUPER);
	put_mount(made, 1, 0, 5, 1, UNDER);
}

static bool says(const struct path_text *text, const char *expected)
{
	return text->size == strlen(expected) && memcmp(text->data, expected, text->size) == 0;
}

static uint64_t vfsmount(unsigned i)
{
	return MOUNTS + 0x200 * i + 32;
}

static struct path_text text;

static void climbs_to_the_root(void)
{
	struct made made;
	char expected[128];

	make_paths(&made);
	snprintf(expected, sizeof(expected), "/usr/%s/file", long_name);
	CHECK_EQUAL(path_of_dentry(&made.kernel, dentry(3), &text), KIOKU_OK);
	CHECK(says(&text, expected) && text.is_whole && !text.deleted && text.kind == NAME_PATH);
	CHECK_EQUAL(path_of_dentry(&made.kernel, dentry(0), &text), KIOKU_OK);
	CHECK(says(&text, "/") && text.is_whole);
	/* Without its place in the hash table, it has no name any more. */
	made_set(&made, dentry(3), "dentry", "d_hash.pprev", 0);
	CHECK_EQUAL(path_of_dentry(&made.kernel, dentry(3), &text), KIOKU_OK);
	CHECK(says(&text, expected) && text.deleted);
	path_mark_deleted(&text);
	strcat(expected, " (deleted)");
	CHECK(says(&text, expected));
	/* Cut off from the root of its file system. */
	made_set(&made, dentry(1), "dentry", "d_parent", dentry(1));
	CHECK_EQUAL(path_of_dentry(&made.kernel, dentry(3), &text), KIOKU_OK);
	CHECK(!text.is_whole);
	made_close(&made);
}

static void climbs_through_mounts(void)
{
	struct made made;
	struct path path = { vfsmount(1), dentry(7) }, root = { vfsmount(1), dentry(5) };

	make_paths(&made);
	CHECK_EQUAL(path_of(&made.kernel, &path, NULL, &text), KIOKU_OK);
	CHECK(says(&text, "/usr/deep/er") && text.is_whole);
	CHECK_EQUAL(path_of(&made.kernel, &path, &root, &text), KIOKU_OK);
	CHECK(says(&text, "/deep/er") && text.is_whole);
	root = (struct path){ vfsmount(0), dentry(3) }; /* a root that is not above */
	CHECK_EQUAL(path_of(&made.kernel, &path, &root, &text), KIOKU_OK);
	CHECK(says(&text, "/usr/deep/er") && !text.is_whole);
	path.dentry = dentry(5);
	CHECK_EQUAL(path_of(&made.kernel, &path, NULL, &text), KIOKU_OK);
	CHECK(says(&text, "/usr"));
	path.dentry = dentry(3); /* of a file system that is not mounted there */
	CHECK_EQUAL(path_of(&made.kernel, &path, NULL, &text), KIOKU_ERROR_CORRUPT);
	CHECK_EQUAL(text.size, 0);
	/* Detached: in no namespace. */
	path.dentry = dentry(7);
	put_mount(&made, 1, 1, 5, 5, UNDER);
	made_set(&made, MOUNTS + 0x200, "mount", "mnt_ns", 0);
	CHECK_EQUAL(path_of(&made.kernel, &path, NULL, &text), KIOKU_OK);
	CHECK(says(&text, "/deep/er") && !text.is_whole);
	made_close(&made);
}

static void ends_circles_of_dentries(void)
{
	struct made made;
	struct path path = { vfsmount(0), dentry(3) };

	make_paths(&made);
	made_set(&made, dentry(1), "dentry", "d_parent", dentry(3));
	CHECK(path_of_dentry(&made.kernel, dentry(3), &text) != KIOKU_OK);
	CHECK_EQUAL(text.size, 0);
	CHECK(path_of(&made.kernel, &path, NULL, &text) != KIOKU_OK);
	/* With names so short that the path has room for all steps. */
	put_dentry(&made, 8, 9, "a", SUPER);
	put_dentry(&made, 9, 8, "b", SUPER);
	CHECK(path_of_dentry(&made.kernel, dentry(8), &text) != KIOKU_OK);
	CHECK_EQUAL(text.size, 0);
	/* Mounts that are mounted on each other, at their roots: no name grows. */
	put_mount(&made, 0, 1, 0, 5, SUPER);
	put_mount(&made, 1, 0, 5, 0, UNDER);
	path = (struct path){ vfsmount(1), dentry(5) };
	CHECK_EQUAL(path_of(&made.kernel, &path, NULL, &text), KIOKU_ERROR_CORRUPT);
	CHECK_EQUAL(text.size, 0);
	made_close(&made);
}

static void refuses_names_that_cannot_be(void)
{
	static const struct {
		const char *member;
		uint64_t value;
	} wounds[] = {
		{ "d_name.len", 0 },
		{ "d_name.len", 3 },  /* the name goes on */
		{ "d_name.len", 5 },  /* it ends before */
		{ "d_name.len", 32 }, /* more than the place in the dentry has */
		{ "d_name.len", NAME_LIMIT + 1 },
		{ "d_name.len", UINT32_MAX },
		{ "d_name.name", 0x1000 },
		{ "d_name.name", MADE_BASE + MACHINE_SIZE - 2 },
		{ "d_parent", 0 },
		{ "d_parent", MADE_BASE + 4 },
		{ "d_sb", UNDER },
		{ "d_sb", 0 },
	};
	struct made made;
	char name[NAME_LIMIT];
	size_t size;
	struct dentry found;

	for (size_t i = 0; i < sizeof(wounds) / sizeof(*wounds); i++) {
		make_paths(&made);
		made_set(&made, dentry(3), "dentry", wounds[i].member, wounds[i].value);
		CHECK(path_of_dentry(&made.kernel, dentry(3), &text) != KIOKU_OK);
		CHECK_EQUAL(text.size, 0);
		made_close(&made);
	}
	make_paths(&made);
	put_dentry(&made, 3, 2, "fi/e", SUPER);
	CHECK_EQUAL(path_of_dentry(&made.kernel, dentry(3), &text), KIOKU_ERROR_CORRUPT);
	char longest[NAME_LIMIT + 2];
	memset(longest, 'n', NAME_LIMIT);
	longest[NAME_LIMIT] = '\0';
	put_dentry(&made, 3, 2, longest, SUPER);
	CHECK_EQUAL(dentry_read(&made.kernel, dentry(3), &found), KIOKU_OK);
	CHECK_EQUAL(dentry_name(&made.kernel, &found, name, &size), KIOKU_OK);
	CHECK_EQUAL(size, NAME_LIMIT);
	longest[NAME_LIMIT] = 'n';
	longest[NAME_LIMIT + 1] = '\0';
	put_dentry(&made, 3, 2, longest, SUPER);
	CHECK_EQUAL(path_of_dentry(&made.kernel, dentry(3), &text), KIOKU_ERROR_CORRUPT);
	/* The place in the dentry is full: the NUL would be behind it. */
	made_set(&made, dentry(3), "dentry", "d_name.name", dentry(3) + 56);
	made_set(&made, dentry(3), "dentry", "d_name.len", 32);
	memset(made_memory(&made, dentry(3) + 56), 'i', 32);
	CHECK_EQUAL(path_of_dentry(&made.kernel, dentry(3), &text), KIOKU_ERROR_CORRUPT);
	made_close(&made);
}

/* Each step is allowed, but all of them are more than a path has room for. */
static void bounds_long_paths(void)
{
	struct made made;
	char longest[257];

	make_paths(&made);
	memset(longest, 'n', 255);
	longest[255] = '\0';
	put_dentry(&made, 0, 0, "/", SUPER);
	for (unsigned i = 1; i < 100; i++)
		put_dentry(&made, i, i - 1, longest, SUPER);
	CHECK_EQUAL(path_of_dentry(&made.kernel, dentry(PATH_ROOM / 256), &text), KIOKU_OK);
	CHECK_EQUAL(text.size, PATH_ROOM);
	path_mark_deleted(&text);
	text.deleted = true;
	path_mark_deleted(&text);
	CHECK_EQUAL(text.size, PATH_ROOM);
	CHECK_EQUAL(path_of_dentry(&made.kernel, dentry(PATH_ROOM / 256 + 1), &text),
		    KIOKU_ERROR_LIMIT);
	CHECK_EQUAL(text.size, 0);
	strcat(longest, "n"); /* a byte more */
	put_dentry(&made, PATH_ROOM / 256, PATH_ROOM / 256 - 1, longest, SUPER);
	CHECK_EQUAL(path_of_dentry(&made.kernel, dentry(PATH_ROOM / 256), &text),
		    KIOKU_ERROR_LIMIT);
	made_close(&made);
}

/* --- names that are made up */

/* A dentry that is no root of its file system, and has no parent. */
static void make_dynamic(struct made *made, const char *name, const char *function, uint64_t magic)
{
	make_paths(made);
	put_dentry(made, 10, 10, name, SUPER);
	made_set(made, dentry(10), "dentry", "d_op", OPERATIONS);
	made_set(made, dentry(10), "dentry", "d_fsdata", BUFFER);
	made_set(made, OPERATIONS, "dentry_operations", "d_dname", FUNCTION);
	made_set(made, INODE, "inode", "i_ino", 4026531840);
	made_set(made, INODE, "inode", "i_private", NAMESPACE);
	made_set(made, SUPER, "super_block", "s_magic", magic);
	made_set(made, NAMESPACE, "ns_common", "inum", 4026531840);
	made_set(made, NAMESPACE, "ns_common", "ops", NAMESPACE + 64);
	made_set(made, NAMESPACE + 64, "proc_ns_operations", "name", TEXT + 0x3000);
	made_text(made, TEXT + 0x3000, "mnt");
	made_set(made, BUFFER, "dma_buf", "name", TEXT + 0x3100);
	made_text(made, TEXT + 0x3100, "camera");
	made_symbol(made, "unrelated", MADE_BASE + 0x7fe000);
	if (function)
		made_symbol(made, function, FUNCTION);
}

static const struct {
	const char *function;
	uint64_t magic;
	const char *name, *expected;
	enum name_kind kind;
} kinds[] = {
	{ "pipefs_dname", 0x50495045, "x", "pipe:[4026531840]", NAME_PIPE },
	{ "sockfs_dname", 0x534f434b, "x", "socket:[4026531840]", NAME_SOCKET },
	{ "anon_inodefs_dname", 0x09041934, "[eventpoll]", "anon_inode:[eventpoll]",
	  NAME_ANONYMOUS },
	{ "ns_dname", 0x6e736673, "x", "mnt:[4026531840]", NAME_NAMESPACE },
	{ "pidfs_dname", 0x50494446, "x", "anon_inode:[pidfd]", NAME_PROCESS },
	{ "dmabuffs_dname", 0x444d4142, "buf", "/buf:camera", NAME_DMA_BUFFER },
	{ "simple_dname", 0, "memfd:a/b", "/memfd:a/b", NAME_SIMPLE },
};

static void makes_names_up(void)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		/* By the function; without its symbol, by the file system. */
		for (unsigned known = 0; known < 2; known++) {
			struct made made;
			make_dynamic(&made, kinds[i].name, known ? kinds[i].function : NULL,
				     kinds[i].magic);
			enum kioku_status status = path_of_dentry(&made.kernel, dentry(10), &text);
			if (known || kinds[i].magic) {
				CHECK_EQUAL(status, KIOKU_OK);
				CHECK(says(&text, kinds[i].expected));
				CHECK(text.kind == kinds[i].kind && text.is_whole);
				CHECK_EQUAL(text.deleted, kinds[i].kind == NAME_SIMPLE);
			} else {
				CHECK_EQUAL(status, KIOKU_ERROR_UNSUPPORTED);
				CHECK_EQUAL(text.size, 0);
			}
			made_close(&made);
		}
	}
}

static void refuses_damaged_names(void)
{
	struct made made;
	char longest[1024];

	make_dynamic(&made, "x", "ns_dname", 0);
	made_set(&made, NAMESPACE, "ns_common", "inum", 7); /* of another namespace */
	CHECK_EQUAL(path_of_dentry(&made.kernel, dentry(10), &text), KIOKU_ERROR_CORRUPT);
	made_set(&made, NAMESPACE, "ns_common", "inum", 4026531840);
	memset(longest, 'm', sizeof(longest));
	longest[1023] = '\0';
	made_text(&made, TEXT + 0x3000, longest); /* a name that does not end */
	CHECK_EQUAL(path_of_dentry(&made.kernel, dentry(10), &text), KIOKU_ERROR_LIMIT);
	CHECK_EQUAL(text.size, 0);
	made_close(&made);

	make_dynamic(&made, "buf", "dmabuffs_dname", 0);
	made_text(&made, TEXT + 0x3100, longest);
	CHECK_EQUAL(path_of_dentry(&made.kernel, dentry(10), &text), KIOKU_ERROR_LIMIT);
	made_text(&made, TEXT + 0x3100, longest + 1023 - 33); /* DMA_BUF_NAME_LEN is 32 */
	CHECK_EQUAL(path_of_dentry(&made.kernel, dentry(10), &text), KIOKU_ERROR_LIMIT);
	made_text(&made, TEXT + 0x3100, longest + 1023 - 32);
	CHECK_EQUAL(path_of_dentry(&made.kernel, dentry(10), &text), KIOKU_OK);
	CHECK_EQUAL(text.size, strlen("/buf:") + 32);
	made_set(&made, BUFFER, "dma_buf", "name", 0);
	CHECK_EQUAL(path_of_dentry(&made.kernel, dentry(10), &text), KIOKU_OK);
	CHECK(says(&text, "/buf:"));
	made_set(&made, dentry(10), "dentry", "d_name.len", UINT32_MAX);
	CHECK_EQUAL(path_of_dentry(&made.kernel, dentry(10), &text), KIOKU_ERROR_CORRUPT);
	made_set(&made, dentry(10), "dentry", "d_op", 0x1234);
	CHECK(path_of_dentry(&made.kernel, dentry(10), &text) != KIOKU_OK);
	made_close(&made);
}

TAP_MAIN(TEST(climbs_to_the_root), TEST(climbs_through_mounts), TEST(ends_circles_of_dentries),
	 TEST(refuses_names_that_cannot_be), TEST(bounds_long_paths), TEST(makes_names_up),
	 TEST(refuses_damaged_names))
