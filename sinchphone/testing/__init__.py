"""What pytest gets of sinchphone: an exchange, phones that call, a backend that is asked, and assertions on calls and on what was heard.

``plugin`` is found by pytest itself and imports nothing but pytest; the rest is loaded when a fixture is first used.
"""
