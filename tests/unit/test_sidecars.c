/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stands beside an image: the context archive, judged by tar and gzip, and swap areas. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "capture/context.h"
#include "capture/swap_copies.h"
#include "tap.h"

struct heard {
	unsigned notes, gaps;
	char last[512];
};

static void hear(void *user, enum kioku_severity severity, const char *message)
{
	struct heard *heard = user;

	heard->notes += severity == KIOKU_NOTE;
	heard->gaps += severity == KIOKU_GAP;
	snprintf(heard->last, sizeof(heard->last), "%s", message);
}

static void command(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void command(const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (system(text) != 0)
		tap_fail(__FILE__, __LINE__, "failed: %s", text);
}

static struct destination *here; /* files of this machine */

/* A folder of its own, with a machine's tree in root/. */
static void enter_tree(void)
{
	char folder[] = "/tmp/kioku-sidecars-XXXXXX";

	const struct destination_options options = { 0 };

	CHECK_EQUAL(destination_open("image", &options, &here, NULL), KIOKU_OK);
	CHECK(mkdtemp(folder) && chdir(folder) == 0);
	command("mkdir -p root/proc/self root/sys/kernel/btf root/etc");
	command("echo '00000000-0009fbff : System RAM' > root/proc/iomem");
	command("echo 'ID=debian' > root/etc/os-release; : > root/proc/swaps");
	command("head -c 3000000 /dev/urandom > root/sys/kernel/btf/vmlinux");
	command("head -c 262144 /dev/urandom > root/sys/kernel/btf/ext4");
	command("echo b > root/sys/kernel/btf/brd");
}

static void leave_tree(void)
{
	char folder[64];

	destination_close(here);
	CHECK(getcwd(folder, sizeof(folder)) && chdir("/") == 0);
	command("rm -r '%s'", folder);
}

static void kallsyms(unsigned long long first)
{
	FILE *file = fopen("root/proc/kallsyms", "w");

	CHECK(file);
	for (unsigned i = 0; i < 30000; i++)
		fprintf(file, "%016llx T symbol_number_%u\n", first ? first + i : 0, i);
	fclose(file);
}

static void writes_an_archive(void)
{
	struct heard heard = { 0 };
	struct diagnostics diagnostics = { hear, &heard };
	struct manifest_file file = { 0 };
	struct stat status;

	enter_tree();
	kallsyms(0xffffffff81000000);
	CHECK_EQUAL(context_write_from("root", here, "image.context.tar.gz", "OSRELEASE=6\n", 12,
				       &diagnostics, &file, NULL),
		    KIOKU_OK);
	CHECK_EQUAL(heard.notes + heard.gaps, 0);
	CHECK_SAYS(file.name, "image.context.tar.gz");
	CHECK(!file.origin && stat(file.name, &status) == 0);
	CHECK_EQUAL(status.st_size, file.size);
	CHECK_EQUAL(status.st_mode & 07777, 0600);
	command("echo '%s  %s' | sha256sum -c --quiet", file.sha256, file.name);
	command("gzip -t %s", file.name);
	command("mkdir out && tar -C out -xzf %s", file.name);
	command("cmp out/iomem root/proc/iomem && cmp out/kallsyms root/proc/kallsyms");
	command("diff -r out/btf root/sys/kernel/btf && test ! -s out/swaps");
	command("test \"$(cat out/vmcoreinfo)\" = OSRELEASE=6");
	command("tar -tzf %s | grep btf | tr '\\n' ' ' | grep -q '^btf/brd btf/ext4 btf/vmlinux $'",
		file.name);

	/* Nothing is overwritten. */
	CHECK_EQUAL(context_write_from("root", here, file.name, NULL, 0, &diagnostics, &file, NULL),
		    KIOKU_ERROR_ARGUMENT);
	command("echo '%s  %s' | sha256sum -c --quiet", file.sha256, file.name);
	free(file.name);
	free(file.sha256);
	leave_tree();
}

static void notes_hidden_addresses(void)
{
	struct heard heard = { 0 };
	struct diagnostics diagnostics = { hear, &heard };
	struct manifest_file file = { 0 };

	enter_tree();
	kallsyms(0);
	CHECK_EQUAL(context_write_from("root", here, "c", NULL, 0, &diagnostics, &file, NULL),
		    KIOKU_OK);
	CHECK_EQUAL(heard.notes, 1);
	CHECK_SAYS(heard.last, "kptr_restrict");
	command("tar -xOzf c kallsyms | cmp - root/proc/kallsyms");
	free(file.name);
	free(file.sha256);
	leave_tree();
}

/* /proc of this machine: files that tell no size. Only that all of it arrives is checked. */
static void archives_this_machine(void)
{
	struct heard heard = { 0 };
	struct diagnostics diagnostics = { hear, &heard };
	struct manifest_file file = { 0 };

	enter_tree();
	CHECK_EQUAL(context_write_from("/", here, "c", NULL, 0, &diagnostics, &file, NULL),
		    KIOKU_OK);
	CHECK_EQUAL(heard.gaps, 0);
	command("tar -xOzf c version | cmp - /proc/version");
	command("tar -tzf c | sort | uniq -d | wc -l | grep -qx 0");
	free(file.name);
	free(file.sha256);
	leave_tree();
}

static bool stop_at_half(void *user, uint64_t done, uint64_t total)
{
	return done < total / 2;
}

#define HEADINGS "Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n"

static void copies_swap(void)
{
	static const char swaps[] = HEADINGS "%s/a\\040b   file\t\t4096\t0\t-2\n"
					     "/nowhere partition\t\t8\t\t0\t\t-3\n"
					     "%s/small\tfile\t\t0\t\t0\t\t-4\n";
	struct heard heard = { 0 };
	struct diagnostics diagnostics = { hear, &heard };
	struct swap_copies copies;
	char folder[64], text[512];

	enter_tree();
	CHECK(getcwd(folder, sizeof(folder)));
	command("head -c 3500000 /dev/urandom > 'a b'; echo swap > small");
	snprintf(text, sizeof(text), swaps, folder, folder);
	CHECK_EQUAL(swap_copy_listed(text, here, "image", 0, NULL, NULL, &diagnostics, &copies,
				     NULL),
		    KIOKU_OK);
	CHECK_EQUAL(copies.count, 2);
	CHECK(copies.complete);
	CHECK_EQUAL(copies.lost, 8192);
	CHECK_EQUAL(heard.gaps, 1);
	CHECK_SAYS(heard.last, "/nowhere");
	CHECK_EQUAL(copies.files[0].size, 3500000);
	CHECK_SAYS(copies.files[0].name, "image.swap0");
	CHECK_SAYS(copies.files[0].origin, "a b");
	CHECK_SAYS(copies.files[1].name, "image.swap2");
	command("cmp 'a b' image.swap0 && cmp small image.swap2 && test ! -e image.swap1");
	command("echo '%s  image.swap0' | sha256sum -c --quiet", copies.files[0].sha256);
	swap_copies_release(&copies);

	CHECK_EQUAL(swap_copy_listed(text, here, "image", 0, NULL, NULL, &diagnostics, &copies,
				     NULL),
		    KIOKU_ERROR_ARGUMENT);
	swap_copies_release(&copies);
	CHECK_EQUAL(swap_copy_listed(HEADINGS, here, "image", 0, NULL, NULL, &diagnostics, &copies,
				     NULL),
		    KIOKU_OK);
	CHECK_EQUAL(copies.count, 0);
	swap_copies_release(&copies);
	leave_tree();
}

static void stops_in_swap(void)
{
	struct swap_copies copies;
	char folder[64], text[512];

	enter_tree();
	CHECK(getcwd(folder, sizeof(folder)));
	command("head -c 4M /dev/urandom > a; cp a b");
	snprintf(text, sizeof(text), HEADINGS "%s/a f 4096 0 1\n%s/b f 4096 0 1", folder, folder);
	CHECK_EQUAL(swap_copy_listed(text, here, "image", 0, stop_at_half, NULL, NULL, &copies,
				     NULL),
		    KIOKU_OK);
	CHECK(!copies.complete);
	CHECK_EQUAL(copies.count, 1);
	CHECK_EQUAL(copies.files[0].size, 2 << 20);
	command("cmp -n 2097152 a image.swap0 && test ! -e image.swap1");
	swap_copies_release(&copies);
	leave_tree();
}

TAP_MAIN(TEST(writes_an_archive), TEST(notes_hidden_addresses), TEST(archives_this_machine),
	 TEST(copies_swap), TEST(stops_in_swap))
