/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/confinement_cells.h"

#include <stdio.h>
#include <string.h>

#include "kernel/cgroup_path.h"

enum { GROUP_DIGITS = 12 /* of a 32-bit number, with a NUL */ };

/* What the cells of one task are made from. */
struct making {
	struct confinement_cells *in;
	struct kioku_kernel *kernel;
	const struct task *task;
	struct kioku_cell *out;
};

static bool wants(const struct making *making, unsigned first, unsigned last)
{
	for (unsigned i = first; i <= last; i++)
		if (view_wants_column(making->in->run, making->in->first + i))
			return true;
	return false;
}

static struct kioku_cell lost(const struct making *making, const char *what,
			      enum kioku_status status)
{
	/* Of what has exited some is gone already. */
	if (status == KIOKU_ERROR_NOT_FOUND)
		return cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	if (status != KIOKU_ERROR_UNSUPPORTED)
		diagnose(&making->kernel->diagnostics, KIOKU_GAP, "process %d: %s: %s",
			 making->task->tgid, what, kioku_status_name(status));
	return cell_absent(presence_of(status));
}

/* --- credentials */

static struct kioku_cell capability_cell(const struct making *making, unsigned index, uint64_t set)
{
	char *text = making->in->sets[index];
	size_t room = sizeof(making->in->sets[index]), size = 0;

	if (set && set == making->in->all_capabilities)
		return cell_text("all", sizeof("all"));
	for (unsigned i = 0; i < 64; i++) {
		const char *name = capability_name(i);
		if (!(set >> i & 1))
			continue;
		if (name)
			size += (size_t)snprintf(text + size, room - size, "%s", name) + 1;
		else
			size += (size_t)snprintf(text + size, room - size, "cap_%u", i) + 1;
	}
	return cell_text(text, size);
}

static struct kioku_cell group_cell(const struct making *making, const struct credentials *of)
{
	AUTO_FREE uint32_t *groups = NULL;
	size_t count, size = 0;
	enum kioku_status status = credentials_groups(making->kernel, of, &groups, &count);

	if (status != KIOKU_OK)
		return lost(making, "its groups", status);
	free(making->in->groups);
	making->in->groups = malloc(count * GROUP_DIGITS + 1);
	if (!making->in->groups)
		return lost(making, "its groups", KIOKU_ERROR_NO_MEMORY);
	for (size_t i = 0; i < count; i++)
		size += (size_t)sprintf(making->in->groups + size, "%u", groups[i]) + 1;
	return cell_text(making->in->groups, size);
}

static void credential_cells(const struct making *making, const struct credentials *of)
{
	const uint32_t ids[] = { of->euid, of->suid, of->fsuid, of->egid, of->sgid, of->fsgid };
	const uint64_t sets[] = { of->inheritable, of->permitted, of->effective, of->bounding,
				  of->ambient };

	for (unsigned i = 0; i < sizeof(ids) / sizeof(*ids); i++)
		making->out[CONFINEMENT_EUID + i] = cell_number(ids[i]);
	for (unsigned i = 0; i < sizeof(sets) / sizeof(*sets); i++)
		making->out[CONFINEMENT_INHERITABLE + i] = capability_cell(making, i, sets[i]);
	if (wants(making, CONFINEMENT_GROUPS, CONFINEMENT_GROUPS))
		making->out[CONFINEMENT_GROUPS] = group_cell(making, of);
}

/* --- seccomp, namespaces */

static void task_cells_of(const struct making *making, const struct confinement *confinement,
			  bool has_seccomp)
{
	static const char *const modes[] = { "disabled", "strict", "filter", "dead" };
	uint32_t mode = confinement->seccomp;
	struct kioku_cell *out = making->out;

	out[CONFINEMENT_NO_NEW_PRIVILEGES] =
		cell_boolean(confinement_no_new_privileges(confinement));
	if (!has_seccomp)
		out[CONFINEMENT_SECCOMP] = cell_absent(KIOKU_CELL_UNSUPPORTED);
	else if (mode < sizeof(modes) / sizeof(*modes))
		out[CONFINEMENT_SECCOMP] = cell_text(modes[mode], strlen(modes[mode]));
	else
		out[CONFINEMENT_SECCOMP] = lost(making, "its mode of seccomp", KIOKU_ERROR_CORRUPT);
}

static void namespace_cells(const struct making *making, const struct confinement *confinement,
			    const struct credentials *credentials)
{
	for (unsigned i = 0; i < NAMESPACE_KINDS; i++) {
		unsigned cell = CONFINEMENT_NAMESPACES + i;
		uint32_t number;
		if (!wants(making, cell, cell))
			continue;
		enum kioku_status status =
			namespace_number(making->kernel, making->task, confinement, credentials,
					 (enum namespace_kind)i, &number);
		making->out[cell] = status == KIOKU_OK ? cell_number(number)
						       : lost(making, "a namespace", status);
	}
}

/* --- cgroups */

static struct kioku_cell cgroup_cell(const struct making *making)
{
	struct confinement_cells *in = making->in;
	enum kioku_status status = KIOKU_OK;
	const char *text;
	size_t size;

	if (!in->cgroups && !in->has_failed) {
		status = cgroups_open(making->kernel, &in->cgroups);
		in->has_failed = status != KIOKU_OK;
		if (in->has_failed && status != KIOKU_ERROR_UNSUPPORTED)
			diagnose(&making->kernel->diagnostics, KIOKU_GAP,
				 "the cgroup hierarchies: %s", kioku_status_name(status));
	}
	if (in->has_failed)
		return cell_absent(KIOKU_CELL_UNSUPPORTED);
	status = cgroups_of(making->kernel, in->cgroups, making->task, &text, &size);
	return status == KIOKU_OK ? cell_text(text, size) : lost(making, "its cgroups", status);
}

/* --- all of them */

static void set_all(const struct making *making, unsigned first, unsigned last,
		    struct kioku_cell cell)
{
	for (unsigned i = first; i <= last; i++)
		making->out[i] = cell;
}

static void make_all(const struct making *making)
{
	struct credentials credentials = { 0 };
	struct confinement confinement = { 0 };
	bool has_seccomp;
	enum kioku_status status = credentials_read(making->kernel, making->task, &credentials);

	if (status == KIOKU_OK)
		credential_cells(making, &credentials);
	else
		set_all(making, CONFINEMENT_EUID, CONFINEMENT_AMBIENT,
			lost(making, "its credentials", status));
	status = confinement_read(making->kernel, making->task, &confinement, &has_seccomp);
	if (status == KIOKU_OK) {
		task_cells_of(making, &confinement, has_seccomp);
		namespace_cells(making, &confinement, &credentials);
	} else {
		set_all(making, CONFINEMENT_NO_NEW_PRIVILEGES, CONFINEMENT_CGROUP - 1,
			lost(making, "its namespaces", status));
	}
}

void confinement_cells_make(struct confinement_cells *cells, const struct task *task,
			    struct kioku_cell *out)
{
	const struct making making = { cells, cells->run->kernel, task, out };

	set_all(&making, 0, CONFINEMENT_CELLS - 1, cell_absent(KIOKU_CELL_NOT_APPLICABLE));
	if (wants(&making, CONFINEMENT_EUID, CONFINEMENT_CGROUP - 1)) {
		if (!cells->all_capabilities)
			cells->all_capabilities = capabilities_known(cells->run->kernel);
		make_all(&making);
	}
	if (wants(&making, CONFINEMENT_CGROUP, CONFINEMENT_CGROUP))
		out[CONFINEMENT_CGROUP] = cgroup_cell(&making);
}

void confinement_cells_release(struct confinement_cells *cells)
{
	cgroups_free(cells->cgroups);
	free(cells->groups);
}
