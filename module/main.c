// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/security.h>

#include "device.h"
#include "dump.h"
#include "memory.h"

MODULE_DESCRIPTION("Images the memory of this machine, or offers it as /dev/kioku");
MODULE_AUTHOR("kioku's authors");
MODULE_LICENSE("GPL");

static char *path;
module_param(path, charp, 0444);
MODULE_PARM_DESC(path, "FILE or tcp:PORT to write an image to; left out: /dev/kioku is offered");

static char *format = "lime";
module_param(format, charp, 0444);
MODULE_PARM_DESC(format, "lime (default), raw or padded");

static char *digest;
module_param(digest, charp, 0444);
MODULE_PARM_DESC(digest, "hash of the crypto API, whose hex digits go to FILE.HASH");

static bool compress;
module_param(compress, bool, 0444);
MODULE_PARM_DESC(compress, "1: one zlib stream");

static bool dio;
module_param(dio, bool, 0444);
MODULE_PARM_DESC(dio, "1: not through the page cache where that is possible");

static bool localhostonly;
module_param(localhostonly, bool, 0444);
MODULE_PARM_DESC(localhostonly, "1: only 127.0.0.1 may connect");

static int timeout = 1000;
module_param(timeout, int, 0444);
MODULE_PARM_DESC(timeout, "ms that reading a page may take (default 1000), 0: any time");

static unsigned int accept_timeout;
module_param(accept_timeout, uint, 0444);
MODULE_PARM_DESC(accept_timeout, "ms to wait for somebody to connect; 0 (default): for ever");

static int start(void)
{
	const struct dump_settings settings = {
		.output = {
			.path = path,
			.direct = dio,
			.local = localhostonly,
			.accept_timeout = accept_timeout,
		},
		.format = format,
		.digest = digest && *digest ? digest : NULL,
		.compress = compress,
		.timeout = max(timeout, 0),
	};

	return path ? dump_memory(&settings) : device_offer();
}

static int __init kioku_init(void)
{
	int status = security_locked_down(LOCKDOWN_KCORE);

	if (status) {
		pr_err("this kernel is locked down, and keeps its memory to itself\n");
		return status;
	}
	status = memory_init();
	if (status)
		return status;
	status = start();
	/* A dump is over by now; the module only stays because LiME's procedures end with rmmod. */
	if (status || path)
		memory_exit();
	return status;
}

static void __exit kioku_exit(void)
{
	if (path)
		return;
	device_withdraw();
	memory_exit();
}

module_init(kioku_init);
module_exit(kioku_exit);
