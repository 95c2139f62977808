/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/growing.h"
#include "view/task_cells.h"

static const struct record *const records[] = { &task_record, &signal_record, &cred_record, NULL };

static const struct kioku_column columns[] = {
	{ "depth", KIOKU_KIND_UNSIGNED, "steps from the top of the tree", 0 },
	TASK_COLUMN_PID,
	TASK_COLUMN_PPID,
	TASK_COLUMN_UID,
	TASK_COLUMN_THREADS,
	TASK_COLUMN_STATE,
	TASK_COLUMN_START,
	TASK_COLUMN_ADDRESS,
	TASK_COLUMN_COMM,
};

/* Children hang on their parent as a chain of indices, in the order in which they were found. */
#define NONE SIZE_MAX

struct node {
	struct task task;
	struct kioku_cell cells[TASK_CELLS];
	char state;
	uint64_t parent; /* address of the parent's group leader */
	size_t first_child, last_child, next_sibling;
	bool is_child, given;
};

struct tree {
	struct kioku_kernel *kernel;
	bool limited; /* to what is below some processes */
	struct node *nodes;
	size_t count, capacity;
};

static void tree_release(struct tree *tree)
{
	free(tree->nodes);
}

static enum kioku_status add_node(void *user, const struct task *task)
{
	struct tree *tree = user;
	struct task_parent parent;

	if (!GROW(tree->nodes, tree->count, tree->capacity))
		return KIOKU_ERROR_NO_MEMORY;
	/* A parent may be any thread; the tree is one of processes. */
	uint64_t address = 0;
	if (task_read_parent(tree->kernel, task, &parent) == KIOKU_OK)
		address = parent.group_leader;
	struct node *node = &tree->nodes[tree->count++];
	*node = (struct node){ .task = *task,
			       .parent = address,
			       .first_child = NONE,
			       .last_child = NONE,
			       .next_sibling = NONE };
	/* While it is in the list: of a machine that runs, it may be gone before the tree is known. */
	if (!tree->limited)
		task_cells(tree->kernel, task, true, &node->state, node->cells);
	return KIOKU_OK;
}

static int compare_address(const void *left, const void *right)
{
	const struct node *const *a = left, *const *b = right;

	return ((*a)->task.address > (*b)->task.address) -
	       ((*a)->task.address < (*b)->task.address);
}

static size_t find_node(const struct tree *tree, struct node *const *sorted, uint64_t address)
{
	size_t low = 0, high = tree->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (sorted[middle]->task.address < address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == tree->count || sorted[low]->task.address != address)
		return NONE;
	return (size_t)(sorted[low] - tree->nodes);
}

static enum kioku_status link_nodes(struct tree *tree)
{
	AUTO_FREE struct node **sorted = calloc(tree->count + 1, sizeof(struct node *));

	if (!sorted)
		return KIOKU_ERROR_NO_MEMORY;
	for (size_t i = 0; i < tree->count; i++)
		sorted[i] = &tree->nodes[i];
	qsort(sorted, tree->count, sizeof(*sorted), compare_address);

	for (size_t i = 0; i < tree->count; i++) {
		size_t at = find_node(tree, sorted, tree->nodes[i].parent);
		if (at == NONE || at == i) /* the idle task is its own parent */
			continue;
		struct node *parent = &tree->nodes[at];
		if (parent->last_child == NONE)
			parent->first_child = i;
		else
			tree->nodes[parent->last_child].next_sibling = i;
		parent->last_child = i;
		tree->nodes[i].is_child = true;
	}
	return KIOKU_OK;
}

/* Texts of cells are in the node, which has moved since. */
static void point_at_texts(struct node *node)
{
	node->cells[TASK_STATE].value.text.data = &node->state;
	if (node->cells[TASK_COMM].presence == KIOKU_CELL_PRESENT)
		node->cells[TASK_COMM].value.text.data = node->task.comm;
}

static enum kioku_status give_node(struct view_run *run, const struct tree *tree, struct node *node,
				   size_t depth)
{
	const struct kioku_cell *all = node->cells;

	if (tree->limited)
		task_cells(run->kernel, &node->task, true, &node->state, node->cells);
	point_at_texts(node);
	const struct kioku_cell cells[] = {
		cell_number(depth), all[TASK_PID],     all[TASK_PPID],
		all[TASK_UID],      all[TASK_THREADS], all[TASK_STATE],
		all[TASK_START],    all[TASK_ADDRESS], all[TASK_COMM],
	};
	return view_row(run, cells);
}

/* Depth first without recursion: a hostile image may have a chain of a million parents. */
static enum kioku_status give_subtree(struct view_run *run, struct tree *tree, size_t root)
{
	AUTO_FREE size_t *stack = calloc(tree->count + 1, sizeof(*stack));
	size_t depth = 0;

	if (!stack)
		return KIOKU_ERROR_NO_MEMORY;
	stack[0] = root;
	for (size_t at = root; at != NONE;) {
		struct node *node = &tree->nodes[at];
		bool first_visit = !node->given;
		if (first_visit) {
			node->given = true;
			TRY(give_node(run, tree, node, depth));
		}
		if (first_visit && node->first_child != NONE) {
			at = node->first_child;
			stack[++depth] = at;
			continue;
		}
		while (depth > 0 && tree->nodes[stack[depth]].next_sibling == NONE)
			depth--;
		if (depth == 0)
			break;
		at = stack[depth] = tree->nodes[stack[depth]].next_sibling;
	}
	return KIOKU_OK;
}

static enum kioku_status give_tree(struct view_run *run, struct tree *tree)
{
	for (size_t i = 0; i < tree->count; i++)
		if (tree->limited
			    ? view_wants_pid(run, tree->nodes[i].task.tgid) && !tree->nodes[i].given
			    : !tree->nodes[i].is_child)
			TRY(give_subtree(run, tree, i));
	/* Parents in a circle have no top: damage, but still processes. */
	for (size_t i = 0; i < tree->count && !tree->limited; i++) {
		if (tree->nodes[i].given)
			continue;
		diagnose(&run->kernel->diagnostics, KIOKU_GAP,
			 "process %d: its parents form a circle", tree->nodes[i].task.tgid);
		TRY(give_subtree(run, tree, i));
	}
	return KIOKU_OK;
}

static enum kioku_status run_pstree(struct view_run *run, struct kioku_error *error)
{
	CLEANUP(tree_release)
	struct tree tree = { .kernel = run->kernel, .limited = run->options.pid_count > 0 };

	task_views_begin(run->kernel);
	if (run->options.all)
		TRY(task_each_idle(run->kernel, add_node, &tree, error));
	TRY(task_each_process(run->kernel, TASK_EVERYTHING, add_node, &tree, error));
	enum kioku_status status = link_nodes(&tree);
	return status == KIOKU_OK ? give_tree(run, &tree) : error_no_memory(error);
}

const struct kioku_view pstree_view = {
	.name = "pstree",
	.help = "processes as a tree; with --pid, only what is below these",
	VIEW_COLUMNS(columns),
	.options = KIOKU_VIEW_PID | KIOKU_VIEW_ALL | KIOKU_VIEW_TREE,
	.needs_tasks = true,
	.records = records,
	.run = run_pstree,
};
