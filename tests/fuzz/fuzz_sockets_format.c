/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/scan.h"
#include "format/sockets_format.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes text = { data, size }, line;
	struct socket_line socket;

	for (size_t offset = 0; scan_line(text, &offset, &line);) {
		for (int form = SOCKET_INET; form <= SOCKET_PACKET; form++) {
			if (!socket_line_decode(line, (enum socket_form)form, &socket))
				continue;
			socket_tcp_state(socket.state);
			FUZZ_CHECK(socket.path.size == 0 ||
				   (socket.path.data >= line.data &&
				    socket.path.data + socket.path.size == line.data + line.size));
		}
	}
	return 0;
}
