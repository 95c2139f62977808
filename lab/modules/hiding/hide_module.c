// SPDX-License-Identifier: GPL-2.0-only
/* Hides itself: from the list of modules and from sysfs, and from the tree of addresses (deep=1). */
#include <linux/rbtree_latch.h>

#include "lab.h"

static bool deep;
module_param(deep, bool, 0);

static void leave_tree(struct mod_tree_node *node)
{
	struct latch_tree_root *root = (void *)lab_symbol("mod_tree");
	int i;

	for (i = 0; root && i < 2; i++)
		rb_erase(&node->node.node[i], &root->tree[i]);
}

static void leave_trees(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
	for_each_mod_mem_type(type) if (THIS_MODULE->mem[type].size && !mod_mem_type_is_init(type))
		leave_tree(&THIS_MODULE->mem[type].mtn);
#else
	leave_tree(&THIS_MODULE->core_layout.mtn);
#endif
}

static int __init hide_module_init(void)
{
	int status = lab_allows();

	if (status)
		return status;
	lab_hide_self();
	if (deep)
		leave_trees();
	return 0;
}
module_init(hide_module_init);

MODULE_DESCRIPTION("hides itself, for kioku's tests");
MODULE_LICENSE("GPL");
