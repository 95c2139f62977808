/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/cgroup.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/scan.h"

#define FILE_LIMIT (1u << 20)

/* Whether a list "cpu,cpuacct" holds a name. */
static bool list_has(struct bytes list, struct bytes name)
{
	for (size_t start = 0; start <= list.size;) {
		size_t end = start;
		while (end < list.size && list.data[end] != ',')
			end++;
		if (bytes_equal((struct bytes){ list.data + start, end - start }, name))
			return true;
		start = end + 1;
	}
	return false;
}

/* What stands before a separator, which is passed; false if there is none. */
static bool scan_until(struct bytes line, size_t *offset, char separator, struct bytes *out)
{
	size_t left = line.size - *offset;
	const uint8_t *start = line.data + *offset;
	const uint8_t *end = left > 0 ? memchr(start, separator, left) : NULL;

	if (!end)
		return false;
	*out = (struct bytes){ start, (size_t)(end - start) };
	*offset += out->size + 1;
	return true;
}

/* The path in /proc/PID/cgroup: "4:memory:/a/b", or "0::/a/b", which is v2 (man 7 cgroups). */
static bool find_path(struct bytes text, const char *controller, struct bytes *path, bool *is_v2)
{
	struct bytes line, number, controllers;
	bool found = false;

	*is_v2 = false;
	for (size_t offset = 0; scan_line(text, &offset, &line);) {
		size_t at = 0;
		if (!scan_until(line, &at, ':', &number) ||
		    !scan_until(line, &at, ':', &controllers))
			continue;
		bool of_v2 = controllers.size == 0 && bytes_equal(number, bytes_of_text("0"));
		if (!of_v2 && !list_has(controllers, bytes_of_text(controller)))
			continue;
		/* Where both are there, a controller that is attached to v1 is not in v2. */
		if (of_v2 && found)
			continue;
		*path = (struct bytes){ line.data + at, line.size - at };
		*is_v2 = of_v2;
		found = true;
	}
	return found;
}

struct mount {
	struct bytes root, point;
};

/* A line of mountinfo: "34 30 0:31 ROOT POINT OPTIONS [FIELDS] - TYPE SOURCE OPTIONS" (man 5 proc). */
static bool decode_mount(struct bytes line, const char *controller, bool is_v2, struct mount *out)
{
	struct bytes word, type, options;
	size_t offset = 0;

	for (unsigned i = 0; i < 3; i++)
		if (!scan_word(line, &offset, &word))
			return false;
	if (!scan_word(line, &offset, &out->root) || !scan_word(line, &offset, &out->point))
		return false;
	do {
		if (!scan_word(line, &offset, &word))
			return false;
	} while (!bytes_equal(word, bytes_of_text("-")));
	if (!scan_word(line, &offset, &type) || !scan_word(line, &offset, &word) ||
	    !scan_word(line, &offset, &options))
		return false;
	return is_v2 ? bytes_equal(type, bytes_of_text("cgroup2"))
		     : bytes_equal(type, bytes_of_text("cgroup")) &&
			       list_has(options, bytes_of_text(controller));
}

/* Whether a path is a folder, or lies below it. */
static bool is_below(struct bytes path, struct bytes folder)
{
	if (folder.size == 1)
		return true;
	return bytes_has(path, 0, folder.size) &&
	       memcmp(path.data, folder.data, folder.size) == 0 &&
	       (path.size == folder.size || path.data[folder.size] == '/');
}

/* False if the path is not below what is mounted, as in a container, or too long. */
static bool join(const struct mount *mount, struct bytes path, struct cgroup *out)
{
	size_t skip = mount->root.size == 1 ? 0 : mount->root.size;

	if (!is_below(path, mount->root) || bytes_match(path, 0, "/.."))
		return false;
	int size = snprintf(out->path, sizeof(out->path), "%.*s%.*s", (int)mount->point.size,
			    mount->point.data, (int)(path.size - skip), path.data + skip);
	if (size < 0 || (size_t)size >= sizeof(out->path))
		return false;
	out->mount_length = mount->point.size;
	if (out->path[size - 1] == '/')
		out->path[size - 1] = '\0';
	return access(out->path, X_OK) == 0;
}

enum cgroup_verdict cgroup_find(const struct process *process, const char *controller,
				struct cgroup *out, struct kioku_error *error)
{
	AUTO_FILE_TEXT struct file_text own = { 0 }, mounts = { 0 };
	struct kioku_error problem = { 0 };
	struct bytes path = { 0 }, line;
	struct mount mount;

	enum kioku_status status = process_read(process, "cgroup", &own, &problem);
	if (status == KIOKU_ERROR_OS)
		return CGROUP_NONE;
	if (status == KIOKU_OK)
		status = file_text_read(&mounts, AT_FDCWD, "/proc/self/mountinfo",
					PROCESS_FILE_LIMIT, &problem);
	if (status != KIOKU_OK) {
		if (error)
			*error = problem;
		return CGROUP_FAILED;
	}
	if (!find_path(file_text_bytes(&own), controller, &path, &out->is_v2))
		return CGROUP_NONE;
	for (size_t offset = 0; scan_line(file_text_bytes(&mounts), &offset, &line);)
		if (decode_mount(line, controller, out->is_v2, &mount) && join(&mount, path, out))
			return CGROUP_OK;
	return CGROUP_HIDDEN;
}

bool cgroup_up(struct cgroup *cgroup)
{
	char *slash = strrchr(cgroup->path + cgroup->mount_length, '/');

	if (!slash)
		return false;
	*slash = '\0';
	return true;
}

static enum kioku_status read_file(const struct cgroup *cgroup, const char *file,
				   struct file_text *out)
{
	AUTO_CLOSE int folder = open(cgroup->path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return folder < 0 ? KIOKU_ERROR_OS : file_text_read(out, folder, file, FILE_LIMIT, NULL);
}

bool cgroup_number(const struct cgroup *cgroup, const char *file, uint64_t *out)
{
	AUTO_FILE_TEXT struct file_text text = { 0 };
	size_t offset = 0;

	if (read_file(cgroup, file, &text) != KIOKU_OK)
		return false;
	if (scan_text(file_text_bytes(&text), &offset, "max")) {
		*out = UINT64_MAX;
		return true;
	}
	return scan_decimal(file_text_bytes(&text), &offset, out);
}

uint64_t cgroup_statistic(const struct cgroup *cgroup, const char *file, const char *key)
{
	AUTO_FILE_TEXT struct file_text text = { 0 };
	struct bytes line;
	uint64_t number;

	if (read_file(cgroup, file, &text) != KIOKU_OK)
		return 0;
	for (size_t offset = 0; scan_line(file_text_bytes(&text), &offset, &line);) {
		size_t at = 0;
		if (scan_text(line, &at, key) && scan_text(line, &at, " ") &&
		    scan_decimal(line, &at, &number))
			return number;
	}
	return 0;
}

const char *cgroup_name(const struct cgroup *cgroup)
{
	const char *name = cgroup->path + cgroup->mount_length;

	return *name ? name : "/";
}
