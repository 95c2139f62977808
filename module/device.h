/* SPDX-License-Identifier: GPL-2.0-only */
/* /dev/kioku. */
#ifndef KIOKU_DEVICE_H
#define KIOKU_DEVICE_H

/* 0, or a negative errno. Memory must have been initialised. */
int device_offer(void);
void device_withdraw(void);

#endif
