"""An echo with websockets on asyncio, as it comes: python python-websockets.py ADDRESS."""

import asyncio
import sys

from websockets.asyncio.server import serve


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


async def main():
    host, port = sys.argv[1].split(":")
    async with serve(echo, host, int(port)) as server:
        await server.serve_forever()


asyncio.run(main())
