// An echo with uWebSockets, set up as its example EchoServer is, with neither TLS nor compression
// compiled in: `uwebsockets PORT`. `install` beside this file builds it.
#include "App.h"

#include <cstdlib>

struct Nothing {};

int main(int count, char **args) {
    if (count != 2) return 2;
    bool listens = false;
    uWS::App app;
    app.ws<Nothing>("/*", {
        .compression = uWS::DISABLED,
        .maxPayloadLength = 100 << 20,
        .idleTimeout = 120,
        .maxBackpressure = 100 << 20,
        .message = [](auto *socket, std::string_view message, uWS::OpCode type) {
            socket->send(message, type);
        },
    });
    app.listen("127.0.0.1", std::atoi(args[1]), [&](auto *socket) { listens = socket; });
    if (!listens) return 1;
    app.run();
}
