"""An emulated Microsoft 365 tenant that speaks the real wire protocols, on loopback, for one process's life.

It is written from what Microsoft's services do (each rule cites its source) and shares no code with the client.
It imports nothing of exosp outside this package; only ``exosp.cli`` imports it.
"""
