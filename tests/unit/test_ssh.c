/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ssh:// driver with a stand-in for ssh, which runs the command in a shell here. What a real one
 * does is in tests/cli/test_ssh.py.
 */
#include "tap.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "transfer/destination.h"

/* What the stand-in is, by its version; how it fails, if it does; what its shell says first. */
static const char stand_in[] =
	"#!/bin/sh\n"
	"if test \"$1\" = -V; then echo \"${FAKE_VERSION-OpenSSH_9.9p9}\" >&2; exit 0; fi\n"
	"printf '%s\\n' \"$@\" --end-- >> \"$FAKE_LOG\"\n"
	"test -z \"$FAKE_SILENT\" || exec sleep 100\n"
	"test -z \"$FAKE_STATUS\" || exit $FAKE_STATUS\n"
	"for command; do case $command in ControlPath=/*) touch \"${command#*=}\";; esac; done\n"
	"echo 'Welcome to this machine'\n"
	"cd \"$FAKE_HOME\" && PATH=$FAKE_HOME/bin:$FAKE_PATH sh -c \"$command\"\n";

static char folder[] = "/tmp/kioku-ssh-XXXXXX";
static char said[2048];

/* Paths last as long as the test. */
static char *at(const char *name)
{
	static char paths[64][256];
	static size_t count;
	char *path = paths[count++];

	CHECK(count < 64);
	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
	CHECK(chmod(path, mode) == 0);
}

static char *contents(const char *path)
{
	static char text[1 << 16];
	FILE *file = fopen(path, "r");

	CHECK(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

static void remove_folder(void)
{
	char *command;

	CHECK(asprintf(&command, "rm -rf %s", folder) > 0);
	CHECK(system(command) == 0);
	free(command);
}

/* A folder with a home and the stand-in in PATH. */
static void prepare(void)
{
	char path[8192];

	signal(SIGPIPE, SIG_IGN);
	CHECK(mkdtemp(folder));
	atexit(remove_folder);
	CHECK(mkdir(at("home"), 0700) == 0 && mkdir(at("home/bin"), 0700) == 0);
	write_file(at("ssh"), stand_in, 0700);
	setenv("FAKE_PATH", getenv("PATH"), 1);
	setenv("FAKE_HOME", at("home"), 1);
	setenv("FAKE_LOG", at("log"), 1);
	snprintf(path, sizeof(path), "%s:%s", folder, getenv("PATH"));
	setenv("PATH", path, 1);
}

static void listen_to(void *user, enum kioku_severity severity, const char *message)
{
	snprintf(said, sizeof(said), "%s", message);
}

static const struct diagnostics diagnostics = { listen_to, NULL };

static enum kioku_status open_at(const char *where, struct destination **out,
				 struct kioku_error *error)
{
	struct destination_options options = { .diagnostics = &diagnostics };

	return destination_open(where, &options, out, error);
}

#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
/* The same: of "abc", FIPS 180-2, B.1 */
static const uint8_t abc[] = {
	0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
	0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
	0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
};

static enum kioku_status send_abc(struct destination *destination, const char *name,
				  const uint8_t *sha256, struct kioku_error *error)
{
	AUTO_DESTINATION_FILE struct destination_file *file = NULL;
	size_t written;

	TRY(destination_create(destination, name, true, &file, error));
	TRY(destination_file_write(file, 0, "ab", 2, &written, error));
	TRY(destination_file_write(file, 2, "c", 1, &written, error));
	CHECK_EQUAL(destination_file_size(file), 3);
	return destination_file_finish(file, sha256, NULL, NULL, NULL, error);
}

static void sends(void)
{
	AUTO_DESTINATION struct destination *destination = NULL;
	struct kioku_error error = { 0 };
	struct stat status;

	prepare();
	CHECK_EQUAL(open_at("ssh://user@far.example:2222/~/image", &destination, &error), KIOKU_OK);
	CHECK(strcmp(destination_label(destination), "far.example") == 0);
	CHECK_EQUAL(send_abc(destination, "~/image", abc, &error), KIOKU_OK);
	CHECK_EQUAL(send_abc(destination, "~/image.partial", NULL, &error), KIOKU_OK);
	CHECK(strcmp(contents(at("home/image")), "abc") == 0);
	CHECK(stat(at("home/image"), &status) == 0);
	CHECK_EQUAL(status.st_mode & 07777, 0600);

	CHECK_EQUAL(destination_replace(destination, "~/image.partial", "~/image", &error),
		    KIOKU_ERROR_ARGUMENT);
	CHECK_EQUAL(destination_replace(destination, "~/image.partial", "~/image.json", &error),
		    KIOKU_OK);
	CHECK(access(at("home/image.partial"), F_OK) != 0);
	destination_remove(destination, "~/image.json");
	CHECK(access(at("home/image.json"), F_OK) != 0);
	CHECK_EQUAL(destination_finish(destination, true, 0, &error), KIOKU_OK);

	char *log = contents(at("log"));
	CHECK_SAYS(log, "-p\n2222\n-l\nuser\n--\nfar.example\nexec sh -c '");
	CHECK_SAYS(log, "ControlMaster=yes\n");
}

/* Each character that a shell on the way might take for its own. */
static void quotes(void)
{
	static const char name[] = "a b'c\"d$HOME`id`\\e;f&g*h?[i](j)|<k>%25~{l}";
	AUTO_DESTINATION struct destination *destination = NULL;
	struct kioku_error error = { 0 };
	char path[256], where[512];

	prepare();
	snprintf(path, sizeof(path), "%s/%s", at("home"), name);
	snprintf(where, sizeof(where), "ssh://far%s", path);
	CHECK_EQUAL(open_at(where, &destination, &error), KIOKU_OK);
	CHECK_EQUAL(send_abc(destination, path + 1, abc, &error), KIOKU_OK);
	CHECK(strcmp(contents(path), "abc") == 0);
}

static void refuses_names(void)
{
	static const char *const wrong[] = {
		"ssh://-oProxyCommand=id/x", "ssh://a b/x",   "ssh:///x",       "ssh://-l@far/x",
		"ssh://$(id)@far/x",         "ssh://far:0/x", "ssh://far/x#y",  "ssh://far/",
		"ssh://far/folder/",         "ssh://far/~",   "ssh://far/a\nb",
	};

	prepare();
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		AUTO_DESTINATION struct destination *destination = NULL;
		struct kioku_error error = { 0 };
		CHECK_EQUAL(open_at(wrong[i], &destination, &error), KIOKU_ERROR_ARGUMENT);
	}
	CHECK(access(at("log"), F_OK) != 0);
}

static void check_refused(const char *where, const char *reason)
{
	AUTO_DESTINATION struct destination *destination = NULL;
	struct kioku_error error = { 0 };

	CHECK_EQUAL(open_at(where, &destination, &error), KIOKU_ERROR_ARGUMENT);
	CHECK_SAYS(error.message, reason);
}

static void refuses_what_is_there(void)
{
	AUTO_DESTINATION struct destination *destination = NULL;
	struct kioku_error error = { 0 };

	prepare();
	write_file(at("home/taken"), "", 0600);
	write_file(at("home/image.md5"), "", 0600);
	CHECK(symlink("nowhere", at("home/link")) == 0);
	check_refused("ssh://far/~/taken", "taken exists already on far");
	check_refused("ssh://far/~/link", "link exists already on far");
	check_refused("ssh://far/~/image", "image.md5 exists already on far");
	check_refused("ssh://far/~/no/image", "no folder");

	/* Made meanwhile by somebody else. */
	CHECK_EQUAL(open_at("ssh://far/~/new", &destination, &error), KIOKU_OK);
	write_file(at("home/new"), "theirs", 0600);
	CHECK_EQUAL(send_abc(destination, "~/new", abc, &error), KIOKU_ERROR_ARGUMENT);
	CHECK_SAYS(error.message, "new exists already on far");
	CHECK(strcmp(contents(at("home/new")), "theirs") == 0);
}

static void another_digest(void)
{
	AUTO_DESTINATION struct destination *destination = NULL;
	struct kioku_error error = { 0 };

	prepare();
	write_file(at("home/bin/sha256sum"), "#!/bin/sh\necho 0000 -", 0700);
	CHECK_EQUAL(open_at("ssh://far/~/image", &destination, &error), KIOKU_OK);
	CHECK_EQUAL(send_abc(destination, "~/image", abc, &error), KIOKU_ERROR_CORRUPT);
	CHECK_SAYS(error.message, "is not what was sent");
}

static void another_size(void)
{
	AUTO_DESTINATION struct destination *destination = NULL;
	struct kioku_error error = { 0 };

	prepare();
	write_file(at("home/bin/cat"), "#!/bin/sh\nexec head -c 2", 0700);
	CHECK_EQUAL(open_at("ssh://far/~/image", &destination, &error), KIOKU_OK);
	CHECK_EQUAL(send_abc(destination, "~/image", NULL, &error), KIOKU_ERROR_CORRUPT);
	CHECK_SAYS(error.message, "has 2 bytes on far, and not 3");
}

/* A far side that has these programs, and what its digest program is, alone. */
static void with_programs(const char *digest_program, const char *text)
{
	static const char *const needed[] = { "sh", "cat", "wc", "rm", "mv", "sync" };
	AUTO_DESTINATION struct destination *destination = NULL;
	struct kioku_error error = { 0 };
	char path[64], name[64];

	prepare();
	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++) {
		snprintf(name, sizeof(name), "home/bin/%s", needed[i]);
		snprintf(path, sizeof(path), "/bin/%s", needed[i]);
		CHECK(symlink(path, at(name)) == 0);
	}
	setenv("FAKE_PATH", at("home/bin"), 1);
	if (digest_program) {
		snprintf(name, sizeof(name), "home/bin/%s", digest_program);
		write_file(at(name), text, 0700);
	}
	CHECK_EQUAL(open_at("ssh://far/~/image", &destination, &error), KIOKU_OK);
	CHECK_EQUAL(send_abc(destination, "~/image", abc, &error), KIOKU_OK);
}

static void digest_by_shasum(void)
{
	with_programs("shasum", "#!/bin/sh\ntest \"$*\" = '-a 256' && echo '" ABC "  -'");
	CHECK(!said[0]);
}

static void digest_by_openssl(void)
{
	with_programs("openssl",
		      "#!/bin/sh\ntest \"$*\" = 'dgst -sha256' && echo 'SHA2-256(stdin)= " ABC "'");
	CHECK(!said[0]);
}

static void digest_by_sha256(void)
{
	with_programs("sha256", "#!/bin/sh\ntest \"$*\" = -q && echo " ABC);
	CHECK(!said[0]);
}

static void no_digest(void)
{
	with_programs(NULL, NULL);
	CHECK_SAYS(said, "only the size of image was compared");
}

static void ssh_fails(void)
{
	AUTO_DESTINATION struct destination *destination = NULL;
	struct kioku_error error = { 0 };

	prepare();
	setenv("FAKE_STATUS", "255", 1);
	CHECK_EQUAL(open_at("ssh://far/~/image", &destination, &error), KIOKU_ERROR_OS);
	CHECK_SAYS(error.message, "cannot reach far: ssh ended with status 255");
}

static void no_ssh(void)
{
	AUTO_DESTINATION struct destination *destination = NULL;
	struct kioku_error error = { 0 };

	setenv("PATH", "/nonexistent", 1);
	CHECK_EQUAL(open_at("ssh://far/~/image", &destination, &error), KIOKU_ERROR_OS);
	CHECK_SAYS(error.message, "cannot run ssh: No such file");
}

/* A file whose cat on the far side is this script. */
static void create_with(const char *cat, struct destination **destination,
			struct destination_file **file)
{
	struct kioku_error error = { 0 };

	prepare();
	write_file(at("home/bin/cat"), cat, 0700);
	CHECK_EQUAL(open_at("ssh://far/~/image", destination, &error), KIOKU_OK);
	CHECK_EQUAL(destination_create(*destination, "~/image", true, file, &error), KIOKU_OK);
}

/* The far side leaves in the middle of a file. */
static void breaks_off(void)
{
	enum { SIZE = 4 << 20 };
	AUTO_DESTINATION struct destination *destination = NULL;
	AUTO_DESTINATION_FILE struct destination_file *file = NULL;
	AUTO_FREE char *data = calloc(1, SIZE);
	struct kioku_error error = { 0 };
	size_t written;

	create_with("#!/bin/sh\nhead -c 1000 >/dev/null; exit 3", &destination, &file);
	CHECK_EQUAL(destination_file_write(file, 0, data, SIZE, &written, &error), KIOKU_ERROR_OS);
	CHECK(written < SIZE);
	CHECK_SAYS(error.message, "cannot write to image on far: the command there ended with "
				  "status 3");
}

static bool few_times(void *user)
{
	return ++*(int *)user < 3;
}

static void stops_waiting(void)
{
	struct destination_options options = { .goes_on = few_times };
	AUTO_DESTINATION struct destination *destination = NULL;
	struct kioku_error error = { 0 };
	int asked = 0;

	prepare();
	options.user = &asked;
	setenv("FAKE_SILENT", "yes", 1);
	CHECK_EQUAL(destination_open("ssh://far/~/image", &options, &destination, &error),
		    KIOKU_ERROR_STOPPED);
	CHECK_EQUAL(asked, 3);
}

/* Nothing moves, and somebody wants to stop. */
static void hurries(void)
{
	enum { SIZE = 4 << 20 };
	AUTO_DESTINATION struct destination *destination = NULL;
	AUTO_DESTINATION_FILE struct destination_file *file = NULL;
	AUTO_FREE char *data = calloc(1, SIZE);
	struct kioku_error error = { 0 };
	size_t written;

	create_with("#!/bin/sh\nexec sleep 60 2>/dev/null", &destination, &file);
	destination_hurry(destination);
	CHECK_EQUAL(destination_file_write(file, 0, data, SIZE, &written, &error), KIOKU_ERROR_OS);
	CHECK_SAYS(error.message, "nothing moves any more");
}

/* Another client than OpenSSH's gets no option that it might not know. */
static void other_client(void)
{
	AUTO_DESTINATION struct destination *destination = NULL;
	struct kioku_error error = { 0 };

	prepare();
	setenv("FAKE_VERSION", "Dropbear v2022.83", 1);
	CHECK_EQUAL(open_at("ssh://far/~/image", &destination, &error), KIOKU_OK);
	CHECK_SAYS(said, "a connection for each file");
	CHECK_EQUAL(send_abc(destination, "~/image", abc, &error), KIOKU_OK);
	CHECK(strncmp(contents(at("log")), "far\nexec sh -c ", 15) == 0);
}

TAP_MAIN(TEST(sends), TEST(quotes), TEST(refuses_names), TEST(refuses_what_is_there),
	 TEST(another_digest), TEST(another_size), TEST(digest_by_shasum), TEST(digest_by_openssl),
	 TEST(digest_by_sha256), TEST(no_digest), TEST(ssh_fails), TEST(no_ssh), TEST(breaks_off),
	 TEST(stops_waiting), TEST(hurries), TEST(other_client))
