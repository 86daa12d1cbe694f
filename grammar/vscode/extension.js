// Starts `oomc lsp` and shows what it says. Knows nothing of the language: the server does.

const { window, workspace, commands } = require('vscode')
const { LanguageClient } = require('vscode-languageclient/node')

let client

// What the settings say of the server. A setting that is empty says nothing.
function options() {
  const settings = workspace.getConfiguration('oomc')
  const btf = settings.get('btf')
  const args = btf ? ['lsp', '--btf', btf] : ['lsp']
  const [snapshot, oom] = [settings.get('snapshot') || null, settings.get('oom') || null]
  const machine = { snapshot, oom, thisMachine: settings.get('thisMachine') === true }
  return { command: settings.get('path') || 'oomc', args, machine }
}

async function start() {
  const { command, args, machine } = options()
  client = new LanguageClient(
    'oomc',
    'oomc',
    { command, args },
    {
      documentSelector: [{ language: 'oom' }],
      initializationOptions: machine,
      synchronize: { configurationSection: 'oomc' },
    },
  )
  try {
    await client.start()
  } catch (error) {
    client = undefined
    const choice = await window.showErrorMessage(
      `${command} cannot be started: ${error.message}. The setting oomc.path names the program.`,
      'Settings',
    )
    if (choice) await commands.executeCommand('workbench.action.openSettings', 'oomc.path')
  }
}

async function stop() {
  const running = client
  client = undefined
  if (running) await running.stop()
}

// A policy may come from somebody else: a folder that is not trusted names no program.
exports.activate = async context => {
  const restart = async () => {
    await stop()
    await start()
  }
  context.subscriptions.push(
    commands.registerCommand('oomc.restart', restart),
    workspace.onDidChangeConfiguration(event => {
      if (event.affectsConfiguration('oomc')) restart()
    }),
  )
  await start()
}

exports.deactivate = stop
