/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The facts of a child that has all kinds of things open, read back by json-c. */
#include <arpa/inet.h>
#include <json-c/json.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "base/digest.h"
#include "snapshot/process_facts.h"
#include "test_child.h"

enum { PLAIN = 100, GONE, PIPE, LISTENER, DUPLICATE, DATAGRAM, ABSTRACT, MEMORY, EVENT, FOLDER };

static char folder[] = "/tmp/kioku-facts-XXXXXX";
static char shell[sizeof(folder) + 16];
static const char odd_argument[] = "q\"\\ \xc3\xa4 \xff\n\t\x1b[31m";

static const char *at(const char *name)
{
	static char path[sizeof(folder) + 64];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

/* At a number that is known, and kept by exec. */
static void place(int descriptor, int number)
{
	if (descriptor < 0 || dup2(descriptor, number) != number || close(descriptor) != 0)
		_exit(1);
}

static void open_sockets(void)
{
	struct sockaddr_in local = { .sin_family = AF_INET };
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int datagram = socket(AF_INET, SOCK_DGRAM, 0);
	int abstract = socket(AF_UNIX, SOCK_DGRAM, 0);

	local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "kioku a %d", getpid());
	if (bind(listener, (struct sockaddr *)&local, sizeof(local)) != 0 ||
	    listen(listener, 1) != 0 ||
	    bind(datagram, (struct sockaddr *)&local, sizeof(local)) != 0 ||
	    bind(abstract, (struct sockaddr *)&name,
		 (socklen_t)(sizeof(sa_family_t) + 1 + strlen(name.sun_path + 1))) != 0 ||
	    dup2(listener, DUPLICATE) != DUPLICATE)
		_exit(1);
	place(listener, LISTENER);
	place(datagram, DATAGRAM);
	place(abstract, ABSTRACT);
}

static void run_shell(int ready)
{
	char *arguments[] = { (char *)"s\xfeh", (char *)"-c",         (char *)"read x",
			      (char *)"",       (char *)odd_argument, NULL };
	char *environment[] = { (char *)"A=1", (char *)"B=\xfe", NULL };
	int ends[2], input[2];

	if (pipe(ends) != 0 || pipe(input) != 0 || chdir(folder) != 0)
		_exit(1);
	place(open(at("plain"), O_RDWR | O_CREAT | O_APPEND, 0600), PLAIN);
	if (write(PLAIN, "12345", 5) != 5)
		_exit(1);
	place(open(at("gone"), O_RDONLY | O_CREAT, 0600), GONE);
	unlink(at("gone"));
	place(ends[0], PIPE);
	place(input[0], 0);
	place(memfd_create("odd name", 0), MEMORY);
	place(eventfd(0, 0), EVENT);
	place(open(folder, O_RDONLY | O_DIRECTORY), FOLDER);
	open_sockets();
	execve(shell, arguments, environment);
	say(ready, -1);
	_exit(1);
}

static void copy_shell(char hex[DIGEST_HEX_SIZE])
{
	AUTO_FILE_TEXT struct file_text text = { 0 };
	struct digest digest = { 0 };

	CHECK(mkdtemp(folder));
	snprintf(shell, sizeof(shell), "%s/odd\xff sh", folder);
	CHECK_EQUAL(file_text_read(&text, AT_FDCWD, "/bin/sh", 16 << 20, NULL), KIOKU_OK);
	AUTO_CLOSE int file = open(shell, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	CHECK(file >= 0 && write(file, text.data, text.size) == (ssize_t)text.size);
	CHECK_EQUAL(digest_init(&digest, KIOKU_DIGEST_SHA256, NULL), KIOKU_OK);
	CHECK(digest_add(&digest, text.data, text.size) && digest_finish_hex(&digest, hex));
	digest_release(&digest);
}

static struct json_object *member(struct json_object *object, const char *name)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(object, name, &value))
		tap_fail(__FILE__, __LINE__, "there is no \"%s\" in %s", name,
			 json_object_to_json_string(object));
	return value;
}

static const char *text_of(struct json_object *object, const char *name)
{
	return json_object_get_string(member(object, name));
}

static int64_t number_of(struct json_object *object, const char *name)
{
	return json_object_get_int64(member(object, name));
}

/* The first element of an array whose member has that number. */
static struct json_object *element(struct json_object *array, const char *name, int64_t number)
{
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		struct json_object *object = json_object_array_get_idx(array, i);
		if (number_of(object, name) == number)
			return object;
	}
	tap_fail(__FILE__, __LINE__, "no %s is %lld", name, (long long)number);
}

static struct json_object *facts_of(pid_t pid)
{
	AUTO_PROCESS struct process process;
	struct kioku_error error = { 0 };
	struct json_tokener *tokener = json_tokener_new();
	char *text = NULL;
	size_t size = 0;

	CHECK_EQUAL(process_open(pid, &process, &error), KIOKU_OK);
	CHECK_EQUAL(process_facts(&process, &text, &size, &error), KIOKU_OK);
	CHECK_EQUAL(strlen(text), size);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	struct json_object *facts = json_tokener_parse_ex(tokener, text, (int)size + 1);
	CHECK(facts);
	json_tokener_free(tokener);
	free(text);
	return facts;
}

static void check_files(struct json_object *files)
{
	struct json_object *file = element(files, "fd", PLAIN);

	CHECK_SAYS(text_of(file, "path"), "/plain");
	CHECK_SAYS(text_of(file, "kind"), "file");
	CHECK_SAYS(text_of(file, "access"), "read_write");
	CHECK_EQUAL(number_of(file, "position"), 5);
	CHECK_EQUAL(number_of(file, "size"), 5);
	CHECK(!json_object_get_boolean(member(file, "deleted")));
	file = element(files, "fd", GONE);
	CHECK_SAYS(text_of(file, "path"), "/gone (deleted)");
	CHECK_SAYS(text_of(file, "access"), "read");
	CHECK(json_object_get_boolean(member(file, "deleted")));
	CHECK_SAYS(text_of(element(files, "fd", PIPE), "kind"), "pipe");
	CHECK_SAYS(text_of(element(files, "fd", LISTENER), "kind"), "socket");
	CHECK_SAYS(text_of(element(files, "fd", MEMORY), "kind"), "memfd");
	CHECK_SAYS(text_of(element(files, "fd", MEMORY), "path"), "/memfd:odd name");
	CHECK_SAYS(text_of(element(files, "fd", EVENT), "path"), "[eventfd]");
	CHECK_SAYS(text_of(element(files, "fd", FOLDER), "kind"), "folder");
}

static void check_sockets(struct json_object *sockets)
{
	struct json_object *socket = element(sockets, "fd", LISTENER);

	CHECK_SAYS(text_of(socket, "protocol"), "tcp");
	CHECK_SAYS(text_of(socket, "local"), "127.0.0.1:");
	CHECK_SAYS(text_of(socket, "remote"), "0.0.0.0:0");
	CHECK_SAYS(text_of(socket, "state"), "listen");
	CHECK_EQUAL(number_of(element(sockets, "fd", DUPLICATE), "inode"),
		    number_of(socket, "inode"));
	CHECK_SAYS(text_of(element(sockets, "fd", DATAGRAM), "protocol"), "udp");
	socket = element(sockets, "fd", ABSTRACT);
	CHECK_SAYS(text_of(socket, "protocol"), "unix");
	CHECK_SAYS(text_of(socket, "local"), "@kioku a ");
	CHECK_SAYS(text_of(socket, "type"), "datagram");
}

static void check_texts(struct json_object *facts)
{
	struct json_object *arguments = member(facts, "command_line");
	struct json_object *environment = member(facts, "environment");

	CHECK_EQUAL(json_object_array_length(arguments), 5);
	CHECK_SAYS(json_object_get_string(json_object_array_get_idx(arguments, 0)), "s\\xfeh");
	CHECK_EQUAL(json_object_get_string_len(json_object_array_get_idx(arguments, 3)), 0);
	CHECK(strcmp(json_object_get_string(json_object_array_get_idx(arguments, 4)),
		     "q\"\\\\ \xc3\xa4 \\xff\n\t\x1b[31m") == 0);
	CHECK_EQUAL(json_object_array_length(environment), 2);
	CHECK_SAYS(json_object_get_string(json_object_array_get_idx(environment, 1)), "B=\\xfe");
	CHECK_SAYS(text_of(facts, "name"), "odd\\xff sh");
	CHECK_SAYS(text_of(facts, "working_folder"), "/kioku-facts-");
	CHECK_SAYS(text_of(facts, "root"), "/");
	CHECK_SAYS(text_of(facts, "start_time"), "T");
	CHECK_SAYS(text_of(facts, "coredump_filter"), "0x");
}

static void check_numbers(struct json_object *facts, const struct child *child)
{
	struct json_object *credentials = member(facts, "credentials");
	struct stat own;

	CHECK_EQUAL(number_of(facts, "pid"), child->pid);
	CHECK_EQUAL(number_of(facts, "parent"), getpid());
	CHECK_EQUAL(number_of(facts, "word_size"), sizeof(void *));
	CHECK_EQUAL(number_of(member(credentials, "user_ids"), "real"), getuid());
	CHECK_EQUAL(number_of(member(credentials, "group_ids"), "saved"), getegid());
	CHECK_SAYS(text_of(member(credentials, "capabilities"), "effective"), "0x");
	CHECK(stat("/proc/self/ns/net", &own) == 0);
	CHECK_EQUAL(number_of(member(facts, "namespaces"), "net"), own.st_ino);
	CHECK(json_object_get_type(member(member(facts, "limits"), "open_files")) ==
	      json_type_object);
	struct json_object *thread = element(member(facts, "threads"), "tid", child->pid);
	CHECK_SAYS(text_of(thread, "state"), "S");
	CHECK_SAYS(text_of(thread, "policy"), "other");
}

static void tells_all_of_a_child(void)
{
	char hex[DIGEST_HEX_SIZE], byte;

	copy_shell(hex);
	struct child child = start_child(run_shell);
	/* The pipe's other end is closed by exec. */
	CHECK(read(child.ready, &byte, 1) == 0);
	unlink(shell);
	await_state(child.pid, 'S');
	struct json_object *facts = facts_of(child.pid);
	struct json_object *program = member(facts, "executable");
	CHECK_SAYS(text_of(program, "path"), "/odd\\xff sh (deleted)");
	CHECK_SAYS(text_of(program, "sha256"), hex);
	CHECK(json_object_get_boolean(member(program, "deleted")));
	CHECK(json_object_array_length(member(facts, "mapped_deleted_files")) > 0);
	check_texts(facts);
	check_numbers(facts, &child);
	check_files(member(facts, "open_files"));
	check_sockets(member(facts, "sockets"));
	CHECK_EQUAL(json_object_array_length(member(facts, "unreadable")), 0);
	json_object_put(facts);
	end_child(&child);
	unlink(at("plain"));
	CHECK(rmdir(folder) == 0);
}

static void run_unprivileged(int ready)
{
	AUTO_PROCESS struct process process;
	struct kioku_error error;
	char *text = NULL;
	size_t size;

	/* Of another user: its parent's memory and files are none of its business. */
	if (setgid(65534) != 0 || setuid(65534) != 0 ||
	    process_open(getppid(), &process, &error) != KIOKU_OK ||
	    process_facts(&process, &text, &size, &error) != KIOKU_OK)
		_exit(1);
	say(ready, strstr(text, "{\"what\": \"environ\", \"reason\": \"Permission denied\"}") &&
			   strstr(text, "{\"what\": \"open_files\", \"reason\": ") &&
			   strstr(text, "{\"what\": \"sockets\", \"reason\": ") &&
			   strstr(text, "{\"what\": \"namespaces\", \"reason\": ") &&
			   !strstr(text, "\"environment\"") && strstr(text, "\"command_line\""));
	free(text);
	_exit(0);
}

static void says_what_it_may_not_read(void)
{
	if (geteuid() != 0)
		SKIP("needs root, to become somebody else");
	struct child child = start_child(run_unprivileged);
	CHECK_EQUAL(await(&child), 1);
	end_child(&child);
}

static void run_elsewhere(int ready)
{
	int made = unshare(CLONE_NEWNET);
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "\0elsewhere" };
	int listener = made == 0 ? socket(AF_UNIX, SOCK_STREAM, 0) : -1;

	if (made == 0 && (bind(listener, (struct sockaddr *)&name, sizeof(sa_family_t) + 10) != 0 ||
			  listen(listener, 1) != 0))
		_exit(1);
	if (made == 0)
		place(listener, LISTENER);
	say(ready, made);
}

/* What is bound there is in no list of this namespace. */
static void looks_into_its_network_namespace(void)
{
	struct child child = start_child(run_elsewhere);

	if (await(&child) != 0)
		SKIP("no network namespace can be made here");
	struct json_object *facts = facts_of(child.pid);
	struct json_object *socket = element(member(facts, "sockets"), "fd", LISTENER);
	CHECK_SAYS(text_of(socket, "local"), "@elsewhere");
	CHECK_SAYS(text_of(socket, "state"), "listen");
	json_object_put(facts);
	end_child(&child);
}

static void *wait_forever(void *ready)
{
	prctl(PR_SET_NAME, "kept");
	say(*(int *)ready, 1);
	for (;;)
		pause();
	return NULL;
}

static void run_leaderless(int ready)
{
	static int kept;
	pthread_t thread;

	kept = ready;
	place(eventfd(0, 0), EVENT);
	if (pthread_create(&thread, NULL, wait_forever, &kept) != 0)
		_exit(1);
	syscall(SYS_exit, 0); /* of this thread only */
}

static void tells_what_an_exited_leader_left(void)
{
	struct child child = start_child(run_leaderless);

	await(&child);
	await_state(child.pid, 'Z');
	struct json_object *facts = facts_of(child.pid);
	CHECK_SAYS(text_of(facts, "state"), "Z");
	CHECK_EQUAL(json_object_array_length(member(facts, "threads")), 2);
	CHECK_SAYS(text_of(element(member(facts, "open_files"), "fd", EVENT), "path"), "[eventfd]");
	CHECK_SAYS(text_of(member(facts, "executable"), "path"), "test_process_facts");
	CHECK(json_object_array_length(member(facts, "command_line")) > 0);
	json_object_put(facts);
	end_child(&child);
}

TAP_MAIN(TEST(tells_all_of_a_child), TEST(says_what_it_may_not_read),
	 TEST(looks_into_its_network_namespace), TEST(tells_what_an_exited_leader_left))
